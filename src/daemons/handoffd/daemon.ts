import { mkdirSync, rmSync } from 'node:fs'
import type { Logger } from 'pino'
import { adminApi } from '../../admin/api.ts'
import { ClusterAdmin } from '../../admin/cluster-admin.ts'
import { nodeId } from '../../cluster/node.ts'
import { describeFailure } from '../../cli/output.ts'
import type { Config } from '../../config/config.ts'
import { guardianSocket, handoffdSocket, logDirectory } from '../../config/paths.ts'
import { HandoffError } from '../../errors.ts'
import { guardianLock } from '../../fencing/protocol.ts'
import { isServing } from '../../groups/decide.ts'
import type { GroupId } from '../../groups/group.ts'
import { defaultTiming } from '../../groups/view.ts'
import { monotonicMs } from '../../host/clock.ts'
import { type LockFile, lockHolder } from '../../host/lock-file.ts'
import { isRunning } from '../../host/processes.ts'
import { StoreKey } from '../../store/keys.ts'
import { openStore } from '../../store/open.ts'
import type { Store, Watch } from '../../store/store.ts'
import type { Input } from '../../supervisor/ports.ts'
import { Supervisor } from '../../supervisor/supervisor.ts'
import { Addresses } from './addresses.ts'
import { takeAlone } from './alone.ts'
import { Copies } from './copies.ts'
import { Databases } from './databases.ts'
import { EventLog } from './event-log.ts'
import { Guarding } from './guarding.ts'
import { handOverFirst } from './hand-over-first.ts'
import { ownIdentity } from './identity.ts'
import { keyedStore } from './keyed-store.ts'
import { LastingTrouble } from './lasting-trouble.ts'
import { startBoundingLogs } from './logs.ts'
import { Loop } from './loop.ts'
import { MailService } from './mail-service.ts'
import { metricsText } from './metrics.ts'
import { OwnStore, storeOptions } from './own-store.ts'
import { ports } from './ports.ts'
import { preflight } from './preflight.ts'
import { registerNode } from './register.ts'
import { reseed } from './reseed.ts'
import { readSecrets } from './secrets.ts'
import { Session } from './session.ts'
import { StoreFollower } from './store-follower.ts'

const renewOnceWithinMs = 300

/** The cluster service of one node: wires the parts, starts and ends them. */
export class Daemon {
  private readonly config: Config
  private readonly log: Logger
  private readonly identity: string
  private readonly ownStore: OwnStore
  private readonly store: Store
  private readonly keyed: ReturnType<typeof keyedStore>
  private readonly follower: StoreFollower
  private readonly supervisor: Supervisor
  private readonly loop: Loop
  private readonly session: Session
  private readonly copies: Copies
  private readonly addresses: Addresses
  private readonly databases: Databases
  private readonly mail: MailService
  private readonly guarding: Guarding
  private readonly admin: ClusterAdmin
  private readonly events: EventLog
  private readonly known = new Set<GroupId>()
  private readonly timers: NodeJS.Timeout[] = []
  private readonly storeAway: LastingTrouble
  private storeTrouble = 'no answer yet'
  private lock: LockFile | null = null
  private refused = false
  private watch: Watch | null = null
  private api: ReturnType<typeof adminApi> | null = null

  /** @throws HandoffError DATA_DIRECTORY_FOREIGN, SECRET_UNREADABLE: nothing has been started */
  constructor(config: Config, log: Logger) {
    this.config = config
    this.log = log
    const secrets = readSecrets(config.secretFile)
    this.identity = ownIdentity(config).identity
    const self = nodeId(config.node)
    const prefix = StoreKey.prefix(config.cluster)
    const input = (value: Input): void => this.input(value)
    const view = () => this.supervisor.view()
    this.ownStore = new OwnStore(config, log)
    this.store = openStore(storeOptions(config))
    this.keyed = keyedStore(this.store, config.cluster)
    this.admin = new ClusterAdmin(this.keyed, view)
    this.events = new EventLog(this.keyed, self, log)
    this.session = new Session(this.store, { cluster: config.cluster, node: self, identity: this.identity, ttlMs: defaultTiming.sessionTtlMs })
    const tell = (event: Parameters<EventLog['tell']>[0]): void => this.events.tell(event)
    this.storeAway = new LastingTrouble({ code: 'STORE_UNREACHABLE', afterMs: 3000, tell })
    this.copies = new Copies({
      config,
      self,
      secrets,
      nodes: () => view().nodes,
      systemId: (group) => view().groups.find((entry) => entry.config.name === group)?.record?.systemId ?? null,
      input,
      progress: (group, text) => log.info({ group, progress: text }, 'seeding'),
      log,
    })
    this.addresses = new Addresses(config, log)
    this.databases = new Databases({ copies: this.copies, keyed: this.keyed, log })
    this.mail = new MailService({
      config,
      postgresPassword: secrets.postgresPassword,
      databases: this.databases,
      view,
      input,
      poke: () => this.loop.poke(),
      tell,
    })
    this.guarding = new Guarding({ config, heartbeatKey: secrets.heartbeatKey, view, input, tell, addresses: this.addresses, log })
    this.follower = new StoreFollower({
      prefix,
      input,
      databases: this.databases,
      event: (value) => this.events.seen(value),
      found: () => void this.register(),
    })
    this.supervisor = new Supervisor(
      { self, timing: defaultTiming, startedAt: monotonicMs(), observeEveryMs: 100 },
      ports({
        store: this.store,
        keyed: this.keyed,
        cluster: config.cluster,
        session: this.session,
        sessionBegun: () => {
          this.watch ??= this.store.watch(prefix, 0n, (event) => this.follower.follow(event))
        },
        sessionFailed: (failure) => this.sessionFailed(failure),
        copies: this.copies,
        addresses: this.addresses,
        services: this.mail.services,
        input,
        poke: () => this.loop.poke(),
        publish: (payload) => this.guarding.publish(payload),
        guard: (deadlines) => this.guarding.guard(deadlines),
        tell,
        refused: (request, why) => this.follower.refused(request, why),
        log,
      }),
    )
    this.loop = new Loop(this.supervisor, () => this.afterStep())
  }

  /** @throws HandoffError what cannot be helped by trying again; nothing that was started is left running */
  async start(): Promise<void> {
    const { dataDirectory } = this.config
    this.lock = await takeAlone(dataDirectory)
    const guardian = lockHolder(guardianLock(guardianSocket(dataDirectory)))
    const adopting = guardian !== null && isRunning(guardian)
    try {
      if (!adopting) await preflight(this.config)
      await this.startParts()
    } catch (failure) {
      await this.end(adopting ? 'detach' : 'stop')
      throw failure
    }
    this.log.info('handoffd is running')
  }

  private async startParts(): Promise<void> {
    const { config } = this
    mkdirSync(logDirectory(config.dataDirectory), { recursive: true })
    await this.ownStore.start()
    await this.guarding.start()
    if (config.role === 'data' && config.mailbox.enabled) await this.mail.start()
    await this.serveApi()
    this.timers.push(
      setInterval(() => this.regular(), 500),
      this.copies.startProbing(),
      startBoundingLogs(config.dataDirectory, this.log),
    )
  }

  private async serveApi(): Promise<void> {
    const { dataDirectory } = this.config
    const view = () => this.supervisor.view()
    this.api = adminApi({
      admin: this.admin,
      view,
      now: monotonicMs,
      cluster: () => this.follower.cluster,
      storeReachable: () => this.follower.reachable,
      refusal: (request) => this.follower.refusal(request),
      mounted: (database) => this.databases.created(database),
      reseed: (group) => reseed(group, { dataDirectory, copies: this.copies, view, input: (value) => this.input(value) }),
      onEvent: (listener) => this.events.onEvent(listener),
      metrics: () => metricsText(view()),
    })
    const path = handoffdSocket(dataDirectory)
    rmSync(path, { force: true })
    await this.api.listen({ path })
  }

  private input(value: Input): void {
    this.supervisor.input(value)
    this.loop.poke()
  }

  /** Joins the cluster once there is one; a refusal ends this process, before it has done anything. */
  private async register(): Promise<void> {
    for (;;) {
      try {
        return await registerNode(this.keyed, this.config, this.identity)
      } catch (failure) {
        if (failure instanceof HandoffError && (failure.code === 'NODE_NAME_TAKEN' || failure.code === 'NODE_ADDRESS_TAKEN')) return this.refuse(failure)
        await new Promise((resolve) => setTimeout(resolve, 200))
      }
    }
  }

  private sessionFailed(failure: Error): void {
    this.storeTrouble = failure.message
    if (failure instanceof HandoffError && failure.code === 'NODE_NAME_TAKEN') void this.refuse(failure)
  }

  /** Ends this process: the cluster does not take this node as it is configured. */
  private async refuse(failure: HandoffError): Promise<void> {
    if (this.refused) return
    this.refused = true
    this.log.fatal({ code: failure.code, remedy: failure.remedy }, failure.message)
    process.stderr.write(`handoffd: ${describeFailure(failure)}\n`)
    await this.end('stop')
    process.exit(1)
  }

  private afterStep(): void {
    const view = this.supervisor.view()
    this.guarding.setPeers(view.nodes)
    for (const { config } of view.groups) {
      const { name } = config
      if (this.known.has(name) || !config.nodes.includes(view.self)) continue
      this.known.add(name)
      this.addresses.add(config, (input) => this.input(input)).catch((failure: Error) => this.log.error({ group: name, failure: failure.message }, 'addresses'))
      if (config.kind === 'storage-group') this.copies.add(config).catch((failure: Error) => this.log.error({ group: name, failure: failure.stack }, 'copy'))
    }
    for (const group of view.groups)
      if (group.instance?.kind === 'primary' && group.instance.gate === 'open' && isServing(view, group)) this.databases.createIn(group.config.name)
    this.mail.afterStep()
  }

  private regular(): void {
    this.follower.look()
    this.storeAway.look('the cluster database', this.follower.reachable ? null : this.storeTrouble, monotonicMs())
    this.mail.check()
    void this.ownStore.keepLeaderElsewhere(this.supervisor.view().nodes)
  }

  /** So that the next life has the whole of a session to be there. */
  private async renewOnce(): Promise<void> {
    const before = this.supervisor.view().sessionDeadline ?? 0
    const until = monotonicMs() + renewOnceWithinMs
    this.supervisor.renewNow()
    this.loop.poke()
    while ((this.supervisor.view().sessionDeadline ?? 0) <= before && monotonicMs() < until) await new Promise((resolve) => setTimeout(resolve, 5))
  }

  /** `stop`: hand this node's groups over, take down what stays, and end everything. `detach`: end this process only; the next one adopts what runs. */
  async end(how: 'stop' | 'detach'): Promise<void> {
    this.log.info({ how }, 'ending')
    if (how === 'stop') await handOverFirst({ admin: this.admin, view: () => this.supervisor.view(), log: this.log })
    else await this.renewOnce()
    this.loop.stop()
    for (const timer of this.timers) clearInterval(timer)
    this.watch?.close()
    await this.api?.close()
    if (how === 'stop') {
      await this.mail.stop()
      await Promise.allSettled(this.copies.all.map(({ instance }) => instance.stop({ mode: 'fast', timeoutMs: 3000 })))
      await Promise.allSettled([...this.known].flatMap((group) => this.addresses.of(group).map((address) => address.release())))
      await this.guarding.end('stop')
      await this.session.end().catch(() => undefined)
    } else {
      for (const { instance } of this.copies.all) instance.detach()
      await this.guarding.end('detach')
    }
    this.mail.close()
    await this.store.close()
    await this.ownStore.end(how)
    this.lock?.release()
  }
}
