import type { DecisionRecord } from '../../groups/decision.ts'
import type { ClusterStatus } from '../../admin/schemas.ts'
import { print } from '../output.ts'
import { demoUser, readMessageIds } from './mail-check.ts'
import { MailFlow } from './mail-flow.ts'
import { DemoCluster, demoAddress, demoPorts, eventually } from './nodes.ts'
import { crash } from './processes.ts'

interface Phase {
  readonly outageMs: number
  readonly acked: number
  readonly lost: number
  readonly clientErrors: number
}

/** Runs the demo by itself. Exit status 0 only when nothing was lost. */
export async function unattended(directory: string): Promise<number> {
  const cluster = new DemoCluster(directory)
  const flow = new MailFlow({ host: demoAddress, port: demoPorts.lmtp, to: demoUser.address, everyMs: 5 })
  process.once('SIGINT', () => void cluster.stop().then(() => process.exit(130)))
  try {
    say('starting two data nodes and a witness')
    for (const node of ['witness', 'node1', 'node2']) cluster.start(node)
    await cluster.create()
    await eventually(() => healthy(cluster, 'node1', 'node1'))
    await eventually(() => cluster.mailApi('node1').post('/mailboxes', demoUser).catch(ignoreExisting))
    say('mail flows')
    flow.start()
    await eventually(async () => enough(flow, 200))

    say('crashing node1, the active one')
    const crashedAt = performance.now()
    crash(cluster.mark('node1'))
    await eventually(async () => enough(flow, flow.acknowledged.filter((entry) => entry.at < crashedAt).length + 100))
    const crashed = await phase(flow, crashedAt)
    say(`crash: ${crashed.outageMs} ms without an acknowledgement, ${crashed.acked} acknowledged, ${crashed.lost} lost`)

    say('starting node1 again')
    cluster.start('node1')
    await eventually(() => healthy(cluster, 'node2', 'node2'))
    say('both copies are in sync; handing back on purpose')
    const movedAt = performance.now()
    for (const group of ['sg1', 'mail1']) {
      await eventually(() => cluster.api('node2').post(`/groups/${group}/move`, { to: 'node1', reason: 'demo' }))
      await eventually(() => online(cluster, group, 'node1'))
    }
    await eventually(async () => enough(flow, flow.acknowledged.filter((entry) => entry.at < movedAt).length + 100))
    const handedOff = await phase(flow, movedAt)
    say(`handoff: ${handedOff.outageMs} ms, ${handedOff.acked} acknowledged, ${handedOff.lost} lost, ${handedOff.clientErrors} errors`)
    await flow.stop()
    const decisions = await cluster.api('node1').get<DecisionRecord[]>('/decisions')
    await cluster.stop()
    print(JSON.stringify({ crash: crashed, handoff: handedOff, decisions: decisions.length }))
    return crashed.lost + handedOff.lost === 0 ? 0 : 1
  } catch (failure) {
    await flow.stop()
    await cluster.stop()
    throw failure
  }
}

/** Everything acknowledged so far is looked for by IMAP. */
async function phase(flow: MailFlow, since: number): Promise<Phase> {
  const acked = flow.acknowledged.slice()
  const outageMs = Math.round(flow.longestGapMs(since))
  const present = await eventually(readMessageIds)
  const counts = new Map<string, number>()
  for (const id of present) counts.set(id, (counts.get(id) ?? 0) + 1)
  return {
    outageMs,
    acked: acked.length,
    lost: acked.filter((entry) => !counts.has(entry.id)).length,
    clientErrors: flow.errors.filter((error) => error.at >= since).length,
  }
}

export async function healthy(cluster: DemoCluster, through: string, owner: string): Promise<void> {
  const { groups } = await cluster.api(through).get<ClusterStatus>('/cluster')
  const good = groups.length === 2 && groups.every((group) => group.owner === owner && group.state === 'online' && group.inSync.length === 2)
  if (!good)
    throw new Error(
      `not healthy yet: ${groups.map((group) => `${group.group} ${group.state} on ${group.owner}, in sync {${group.inSync.join(', ')}}`).join('; ')}`,
    )
}

async function online(cluster: DemoCluster, name: string, owner: string): Promise<void> {
  const { groups } = await cluster.api(owner).get<ClusterStatus>('/cluster')
  if (!groups.some((group) => group.group === name && group.owner === owner && group.state === 'online'))
    throw new Error(`${name} is not online on ${owner} yet`)
}

async function enough(flow: MailFlow, count: number): Promise<void> {
  if (flow.acknowledged.length < count)
    throw new Error(`${flow.acknowledged.length} of ${count} messages acknowledged; last trouble: ${flow.errors.at(-1)?.message ?? 'none'}`)
}

function ignoreExisting(failure: Error & { code?: string }): null {
  if (/exist|taken/i.test(`${failure.code} ${failure.message}`)) return null
  throw failure
}

const say = (text: string): void => void process.stderr.write(`${text}\n`)
