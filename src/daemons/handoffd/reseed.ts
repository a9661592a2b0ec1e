import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { copyDirectory } from '../../config/paths.ts'
import { HandoffError } from '../../errors.ts'
import { groupId } from '../../groups/group.ts'
import type { GroupView, View } from '../../groups/view.ts'
import { monotonicMs } from '../../host/clock.ts'
import type { Input } from '../../supervisor/ports.ts'
import type { Copies } from './copies.ts'

const droppedWithinMs = 5000

export interface ReseedOptions {
  readonly dataDirectory: string
  readonly copies: Copies
  readonly view: () => View
  readonly input: (input: Input) => void
}

/**
 * Throws this node's passive copy of a storage group away; it is then seeded anew by itself.
 * @throws HandoffError GROUP_UNKNOWN, NOT_LOCAL when this node's copy is the active one, MOVE_REFUSED when it stays in sync
 */
export async function reseed(name: string, options: ReseedOptions): Promise<void> {
  const group = groupOf(options.view(), name)
  const instance = options.copies.instance(groupId(name))
  const { self } = options.view()
  if (group === undefined || instance === undefined) throw new HandoffError('GROUP_UNKNOWN', `this node has no copy of "${name}"`)
  if (group.record?.owner === self)
    throw new HandoffError(
      'NOT_LOCAL',
      `the copy of "${name}" on this node is the active one; run this on ${group.config.nodes.filter((node) => node !== self).join(' or ')}`,
    )
  await instance.stop({ mode: 'immediate' })
  // The data goes only when the owner does not count on this copy any more: it drops a stopped one at once.
  const until = monotonicMs() + droppedWithinMs
  while (groupOf(options.view(), name)?.record?.inSync.includes(self) === true) {
    if (monotonicMs() > until)
      throw new HandoffError('MOVE_REFUSED', `the copy of "${name}" on this node is still in the in-sync set: the active copy cannot be reached`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  await instance.stop({ mode: 'immediate' })
  rmSync(join(copyDirectory(options.dataDirectory, name), 'data'), { recursive: true, force: true })
  options.input({ kind: 'instance', group: groupId(name), state: await instance.inspect(), asOf: monotonicMs() })
}

const groupOf = (view: View, name: string): GroupView | undefined => view.groups.find((group) => group.config.name === name)
