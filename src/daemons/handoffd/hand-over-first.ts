import type { ClusterAdmin } from '../../admin/cluster-admin.ts'
import { successor } from '../../groups/handover.ts'
import type { GroupView, View } from '../../groups/view.ts'

const handOverWithinMs = 10_000
const lookEveryMs = 20

export interface HandOverOptions {
  readonly admin: Pick<ClusterAdmin, 'move'>
  readonly view: () => View
  readonly log: { warn(fields: object, message: string): void }
}

/**
 * Before a node is stopped on purpose: every group that it owns and that another in-sync node can take is moved there, like an operator's
 * move, so that clients see a handoff and not an outage. What nobody can take stays and is stopped. Returns when done, or after 10 s.
 */
export async function handOverFirst(options: HandOverOptions): Promise<void> {
  const owned = options.view().groups.filter((group) => ownedHere(options.view(), group) && to(options.view(), group) !== null)
  const moves = owned.map(async (group) => {
    const target = to(options.view(), group)
    if (target === null) return
    const move = { to: target, by: options.view().self, reason: 'the node is being stopped', expiresInMs: handOverWithinMs }
    await options.admin
      .move(group.config.name, move)
      .catch((failure: Error) => options.log.warn({ group: group.config.name, why: failure.message }, 'not moved'))
  })
  await Promise.all(moves)
  const names = owned.map((group) => group.config.name)
  const until = Date.now() + handOverWithinMs
  while (Date.now() < until && options.view().groups.some((group) => names.includes(group.config.name) && ownedHere(options.view(), group)))
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs))
  // The new owner promotes and announces itself while this node's address still refuses; then there is nothing left to wait for.
  while (Date.now() < until && options.view().groups.some((group) => names.includes(group.config.name) && !servedElsewhere(options.view(), group)))
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs))
}

const ownedHere = (view: View, group: GroupView): boolean => group.record?.owner === view.self && group.record.state === 'online'

const to = (view: View, group: GroupView) => (group.record === null ? null : successor(view, group, group.record))

function servedElsewhere(view: View, group: GroupView): boolean {
  const { record } = group
  if (record === null || record.owner === view.self) return true
  return view.peers.get(record.owner)?.payload?.serving.some((entry) => entry.group === record.group && entry.epoch === record.epoch) === true
}
