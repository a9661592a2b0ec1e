import type { Config } from '../../config/config.ts'
import { mountsSocket } from '../../config/paths.ts'
import type { View } from '../../groups/view.ts'
import { monotonicMs } from '../../host/clock.ts'
import type { ClusterEvent, Input } from '../../supervisor/ports.ts'
import type { Databases } from './databases.ts'
import { LastingTrouble } from './lasting-trouble.ts'
import { MailboxProcess } from './mailbox-process.ts'
import { MountsServer, mountsOf } from './mounts-server.ts'
import { Services } from './services.ts'

export interface MailServiceOptions {
  readonly config: Config
  readonly postgresPassword: string
  readonly databases: Databases
  readonly view: () => View
  readonly input: (input: Input) => void
  readonly poke: () => void
  readonly tell: (event: ClusterEvent) => void
}

/** The mailbox service of this node as the cluster service sees it: its process, what it is told, and whether it is there to serve. */
export class MailService {
  readonly services: Services
  private readonly options: MailServiceOptions
  private readonly closedDoors: LastingTrouble
  private mounts: MountsServer | null = null
  private process: MailboxProcess | null = null
  /** Is it known which servers are served here? Until then a service that was adopted is not told to close what it may have open. */
  private knowing = false

  constructor(options: MailServiceOptions) {
    this.options = options
    this.services = new Services(() => this.tellMounts())
    this.closedDoors = new LastingTrouble({ code: 'LISTENER_NOT_OPEN', afterMs: 2000, tell: options.tell })
  }

  async start(): Promise<void> {
    this.mounts = new MountsServer(mountsSocket(this.options.config.dataDirectory), this.options.poke)
    this.process = new MailboxProcess(this.options.config, {
      onExit: (code) =>
        this.options.tell({
          level: 'warning',
          code: 'MAILBOX_SERVICE_EXITED',
          group: null,
          message: `the mailbox service ended (${code ?? 'signal'}) and is started again`,
        }),
      onHealth: ({ listeners }) => {
        for (const { server, protocol, address, port, listening, error } of listeners)
          this.closedDoors.look(
            `${protocol} of "${server}"`,
            listening ? null : `cannot listen on ${address} port ${port} (${error ?? 'not yet'})`,
            monotonicMs(),
          )
      },
    })
    await this.process.startOrAdopt()
  }

  /** Called now and then. */
  check(): void {
    void this.process?.check()
  }

  /** Called after each step of the supervisor. */
  afterStep(): void {
    const connected = this.mounts?.connected === true
    for (const { config, service } of this.options.view().groups) {
      if (service?.kind === 'absent' && connected) this.options.input({ kind: 'service', group: config.name, state: { kind: 'warm' } })
      if (service !== null && service.kind !== 'absent' && !connected) {
        this.services.forget(config.name)
        this.options.input({ kind: 'service', group: config.name, state: { kind: 'absent' } })
      }
    }
    this.tellMounts()
  }

  async stop(): Promise<void> {
    await this.process?.stop()
  }

  close(): void {
    this.mounts?.close()
  }

  private tellMounts(): void {
    const { postgresPassword, databases } = this.options
    const view = this.options.view()
    this.knowing ||= knowsWhatItServes(view, this.services.serving)
    if (!this.knowing) return
    this.mounts?.publish(
      mountsOf(view, { user: 'handoff', password: postgresPassword, databases: databases.allCreated, serving: new Set(this.services.serving.keys()) }),
    )
  }
}

/** The records have been read, and every server that this node owns has been told to serve again. */
export function knowsWhatItServes(view: View, serving: ReadonlyMap<string, number>): boolean {
  const owned = view.groups.filter(({ config, record }) => config.kind === 'server' && record?.owner === view.self && record.state === 'online')
  return view.storeFollowed && owned.every(({ config }) => serving.has(config.name))
}
