import type { ClusterStatus } from '../../admin/schemas.ts'
import { statusText } from '../cluster.ts'
import { print } from '../output.ts'
import { demoUser } from './mail-check.ts'
import { MailFlow } from './mail-flow.ts'
import { DemoCluster, demoAddress, demoPorts, eventually } from './nodes.ts'
import { crash } from './processes.ts'
import { healthy } from './unattended.ts'

const keys = 'keys: k kill the active node   r restore the killed node   m hand off to the other node   q quit'

/** Runs until `q`: mail flows, a status is drawn each second, keys break and mend things. */
export async function attended(directory: string): Promise<number> {
  const cluster = new DemoCluster(directory)
  print('starting two data nodes and a witness ...')
  for (const node of ['witness', 'node1', 'node2']) cluster.start(node)
  await cluster.create()
  await eventually(() => healthy(cluster, 'node1', 'node1'))
  await eventually(() =>
    cluster
      .mailApi('node1')
      .post('/mailboxes', demoUser)
      .catch(() => null),
  )
  const flow = new MailFlow({ host: demoAddress, port: demoPorts.lmtp, to: demoUser.address, everyMs: 50 })
  flow.start()
  const screen = new Screen(cluster, flow)
  await screen.run()
  await flow.stop()
  print('stopping')
  await cluster.stop()
  return 0
}

class Screen {
  private readonly cluster: DemoCluster
  private readonly flow: MailFlow
  private readonly down = new Set<string>()
  private lastFault = performance.now()
  private note = ''

  constructor(cluster: DemoCluster, flow: MailFlow) {
    this.cluster = cluster
    this.flow = flow
  }

  run(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setInterval(() => void this.draw(), 1000)
      const finish = (): void => {
        clearInterval(timer)
        process.stdin.setRawMode?.(false)
        process.stdin.pause()
        resolve()
      }
      process.stdin.setRawMode?.(true)
      process.stdin.resume()
      process.stdin.on('data', (data) => {
        const key = data.toString()[0]
        if (key === 'q' || key === '\u0003') finish()
        else void this.act(key).catch((failure: Error) => (this.note = failure.message))
      })
      process.once('SIGTERM', finish)
    })
  }

  private async act(key: string | undefined): Promise<void> {
    this.lastFault = performance.now()
    if (key === 'k') {
      const active = await this.active()
      const count = crash(this.cluster.mark(active))
      this.down.add(active)
      this.note = `killed all ${count} processes of ${active}`
    } else if (key === 'r') {
      for (const node of this.down) this.cluster.start(node)
      this.note = `started ${[...this.down].join(', ')} again`
      this.down.clear()
    } else if (key === 'm') {
      const active = await this.active()
      for (const group of ['sg1', 'mail1']) await this.cluster.api(active).post(`/groups/${group}/move`, { reason: 'demo' })
      this.note = `handing off from ${active}`
    }
  }

  private async active(): Promise<string> {
    const status = await this.status()
    return status.groups.find((group) => group.group === 'mail1')?.owner ?? 'node1'
  }

  private status(): Promise<ClusterStatus> {
    const node = ['node1', 'node2'].find((candidate) => !this.down.has(candidate)) ?? 'witness'
    return this.cluster.api(node).get<ClusterStatus>('/cluster')
  }

  private async draw(): Promise<void> {
    const status = await this.status().catch((failure: Error) => failure)
    const lines = [
      status instanceof Error ? status.message : statusText(status),
      '',
      `mail: ${this.flow.acknowledged.length} messages acknowledged, longest gap since the last key ${Math.round(this.flow.longestGapMs(this.lastFault))} ms, ${this.flow.errors.length} connections lost`,
      `IMAP ${demoAddress}:${demoPorts.imap}, submission ${demoAddress}:${demoPorts.submission}, user ${demoUser.address}, password ${demoUser.password}`,
      `curl -k --ssl-reqd -u ${demoUser.address}:${demoUser.password} 'imap://${demoAddress}:${demoPorts.imap}/INBOX;MAILINDEX=1'`,
      `bin/handoff --config ${this.cluster.configFile('node2')} explain last`,
      '',
      this.note,
      keys,
    ]
    process.stdout.write(`\x1b[2J\x1b[H${lines.join('\n')}\n`)
  }
}
