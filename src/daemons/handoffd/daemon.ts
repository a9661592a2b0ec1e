import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Logger } from 'pino'
import { adminApi } from '../../admin/api.ts'
import { ClusterAdmin, type DatabaseConfig } from '../../admin/cluster-admin.ts'
import { type NodeConfig, type NodeId, nodeId } from '../../cluster/node.ts'
import type { Config } from '../../config/config.ts'
import { copyDirectory, etcdDirectory, guardianSocket, handoffdSocket, logDirectory, mountsSocket } from '../../config/paths.ts'
import { HandoffError } from '../../errors.ts'
import { type GuardianClient, startOrAdoptGuardian } from '../../fencing/guardian-client.ts'
import { isServing } from '../../groups/decide.ts'
import { type GroupId, groupId } from '../../groups/group.ts'
import { defaultTiming } from '../../groups/view.ts'
import { monotonicMs } from '../../host/clock.ts'
import { EmbeddedServer } from '../../store/embedded/server.ts'
import { keepLeaderOff } from '../../store/etcd/leader.ts'
import { EtcdMember } from '../../store/etcd/member.ts'
import { readCredentials } from '../../store/etcd/options.ts'
import { StoreKey } from '../../store/keys.ts'
import { openStore } from '../../store/open.ts'
import type { Store, Watch, WatchEvent } from '../../store/store.ts'
import type { GroupDeadline, Input } from '../../supervisor/ports.ts'
import { Supervisor } from '../../supervisor/supervisor.ts'
import { Addresses } from './addresses.ts'
import { assertAlone } from './alone.ts'
import { ClockWatch } from './clock-watch.ts'
import { Copies } from './copies.ts'
import { EventLog } from './event-log.ts'
import { handOverFirst } from './hand-over-first.ts'
import { ownIdentity } from './identity.ts'
import { keyedStore } from './keyed-store.ts'
import { Loop } from './loop.ts'
import { MailboxProcess } from './mailbox-process.ts'
import { MountsServer, mountsOf } from './mounts-server.ts'
import { metricsText } from './metrics.ts'
import { ports } from './ports.ts'
import { registerNode } from './register.ts'
import { readSecrets, type Secrets } from './secrets.ts'
import { Services } from './services.ts'
import { Session } from './session.ts'

/** Without a word from the cluster database for so long, the view does not follow it any more. */
const storeQuietMs = 1500
/** Kinds of keys that the supervisor follows. */
const followed = /^(nodes|sessions|groups|owners|requests)\//

/** The cluster service of one node: wires the parts, starts and ends them. */
export class Daemon {
  private readonly config: Config
  private readonly log: Logger
  private readonly secrets: Secrets
  private readonly identity: string
  private readonly store: Store
  private readonly keyed: ReturnType<typeof keyedStore>
  private readonly supervisor: Supervisor
  private readonly loop: Loop
  private readonly session: Session
  private readonly copies: Copies
  private readonly addresses: Addresses
  private readonly admin: ClusterAdmin
  private readonly clocks = new ClockWatch((event) => this.events.tell(event))
  private silentPeers: readonly NodeId[] = []
  private readonly services: Services
  private readonly events: EventLog
  private readonly refusals = new Map<string, string>()
  private readonly databases = new Map<string, DatabaseConfig & { readonly created?: boolean }>()
  private readonly creating = new Set<string>()
  private readonly known = new Set<GroupId>()
  private readonly timers: NodeJS.Timeout[] = []
  private embedded: EmbeddedServer | null = null
  private member: EtcdMember | null = null
  private guardian: GuardianClient | null = null
  private mounts: MountsServer | null = null
  private mailbox: MailboxProcess | null = null
  private watch: Watch | null = null
  private api: ReturnType<typeof adminApi> | null = null
  private cluster: { readonly id: string; readonly name: string } | null = null
  private registering = false
  private storeSeenAt = Number.NEGATIVE_INFINITY
  private peersTold = ''

  /** @throws HandoffError DATA_DIRECTORY_FOREIGN, SECRET_UNREADABLE: nothing has been started */
  constructor(config: Config, log: Logger) {
    this.config = config
    this.log = log
    this.secrets = readSecrets(config.secretFile)
    this.identity = ownIdentity(config).identity
    const self = nodeId(config.node)
    this.store = openStore(storeOptions(config))
    this.keyed = keyedStore(this.store, config.cluster)
    this.admin = new ClusterAdmin(this.keyed, () => this.supervisor.view())
    this.events = new EventLog(this.keyed, self, log)
    this.session = new Session(this.store, { cluster: config.cluster, node: self, identity: this.identity, ttlMs: defaultTiming.sessionTtlMs })
    const input = (value: Input): void => this.input(value)
    this.copies = new Copies({
      config,
      self,
      secrets: this.secrets,
      nodes: () => this.supervisor.view().nodes,
      systemId: (group) => this.supervisor.view().groups.find((entry) => entry.config.name === group)?.record?.systemId ?? null,
      input,
      progress: (group, text) => log.info({ group, progress: text }, 'seeding'),
      log,
    })
    this.addresses = new Addresses(config, log)
    this.services = new Services(() => this.tellMounts())
    this.supervisor = new Supervisor(
      { self, timing: defaultTiming, startedAt: monotonicMs(), observeEveryMs: 100 },
      ports({
        store: this.store,
        keyed: this.keyed,
        cluster: config.cluster,
        session: this.session,
        sessionBegun: () => {
          this.watch ??= this.store.watch(StoreKey.prefix(config.cluster), 0n, (event) => this.followStore(event))
        },
        copies: this.copies,
        addresses: this.addresses,
        services: this.services,
        input,
        poke: () => this.loop.poke(),
        publish: (payload) => this.guardian?.publish(payload),
        guard: (deadlines) => this.guard(deadlines),
        tell: (event) => this.events.tell(event),
        refused: (request, why) => this.refusals.set(request, why),
        log,
      }),
    )
    this.loop = new Loop(this.supervisor, () => this.afterStep())
  }

  async start(): Promise<void> {
    const { config } = this
    await assertAlone(handoffdSocket(config.dataDirectory), config.dataDirectory)
    mkdirSync(logDirectory(config.dataDirectory), { recursive: true })
    await this.startStore()
    const { guardian, how } = await startOrAdoptGuardian({
      config: {
        cluster: config.cluster,
        self: nodeId(config.node),
        own: config.networks.map((network) => ({ network: network.name, address: network.address })),
        port: config.heartbeat.port,
        heartbeatKey: this.secrets.heartbeatKey.toString('hex'),
        intervalMs: config.heartbeat.intervalMs,
        threshold: config.heartbeat.threshold,
      },
      socketPath: guardianSocket(config.dataDirectory),
      logFile: join(logDirectory(config.dataDirectory), 'guardian.log'),
      log: this.log,
    })
    this.guardian = guardian
    this.log.info({ how }, 'guardian')
    guardian.onReport((reports) => {
      this.input({ kind: 'peers', reports })
      this.clocks.look(reports)
      const silent = reports.filter((report) => report.silent).map((report) => report.node)
      const back = this.silentPeers.some((node) => !silent.includes(node))
      // After a pause of its own this node may have been taken over from: then the last word is the other's.
      if (back && (this.supervisor.view().sessionDeadline ?? 0) > monotonicMs()) this.addresses.announceAll()
      this.silentPeers = silent
    })
    guardian.onEnforced((enforcement) =>
      this.events.tell({
        level: 'error',
        code: 'GUARDIAN_ENFORCED',
        group: groupId(enforcement.group),
        message: 'the guardian took the group down at its deadline',
      }),
    )
    if (config.role === 'data' && config.mailbox.enabled) await this.startMailbox()
    await this.serveApi()
    this.timers.push(
      setInterval(() => this.regular(), 500),
      this.copies.startProbing(),
    )
    this.log.info('handoffd is running')
  }

  private async startStore(): Promise<void> {
    const { store, dataDirectory, node, cluster } = this.config
    if (store.kind === 'embedded' && store.serve)
      this.embedded = await EmbeddedServer.open({ dataDirectory: join(dataDirectory, 'store'), listen: store.endpoint })
    if (store.kind !== 'etcd' || !store.managed) return
    const own = store.members.find((member) => member.name === node)
    if (own === undefined) return
    this.member = new EtcdMember({
      name: node,
      directory: etcdDirectory(dataDirectory),
      peerUrl: own.peerUrl,
      clientUrl: own.clientUrl,
      members: store.members,
      cluster,
      heartbeatMs: store.heartbeatMs,
      electionMs: store.electionMs,
      tls: store.tls,
      onTrouble: (trouble) => this.log.error({ code: trouble.code }, trouble.message),
    })
    await this.member.start()
  }

  private async startMailbox(): Promise<void> {
    this.mounts = new MountsServer(mountsSocket(this.config.dataDirectory), () => this.loop.poke())
    this.mailbox = new MailboxProcess(this.config, (code) =>
      this.events.tell({
        level: 'warning',
        code: 'MAILBOX_SERVICE_EXITED',
        group: null,
        message: `the mailbox service ended (${code ?? 'signal'}) and is started again`,
      }),
    )
    await this.mailbox.startOrAdopt()
  }

  private async serveApi(): Promise<void> {
    this.api = adminApi({
      admin: this.admin,
      view: () => this.supervisor.view(),
      now: monotonicMs,
      cluster: () => this.cluster,
      storeReachable: () => monotonicMs() - this.storeSeenAt < storeQuietMs,
      refusal: (request) => this.refusals.get(request) ?? null,
      mounted: (database) => this.databases.get(database)?.created === true,
      reseed: (group) => this.reseed(group),
      onEvent: (listener) => this.events.onEvent(listener),
      metrics: () => metricsText(this.supervisor.view()),
    })
    const path = handoffdSocket(this.config.dataDirectory)
    rmSync(path, { force: true })
    await this.api.listen({ path })
    if (this.config.admin.listen !== undefined) this.log.warn('admin.listen is not served: the API is on the Unix socket only')
  }

  private input(value: Input): void {
    this.supervisor.input(value)
    this.loop.poke()
  }

  private followStore(event: WatchEvent): void {
    this.storeSeenAt = monotonicMs()
    const relative = (key: string): string => key.slice(StoreKey.prefix(this.config.cluster).length)
    if (event.kind === 'contact') return
    const entries = event.kind === 'reset' ? event.entries : event.puts
    if (event.kind === 'reset') this.databases.clear()
    for (const entry of entries) {
      const key = relative(entry.key)
      if (key === 'cluster') this.cluster = JSON.parse(entry.value) as { id: string; name: string }
      else if (key.startsWith('databases/')) this.databases.set(key.slice('databases/'.length), JSON.parse(entry.value) as DatabaseConfig)
      else if (key.startsWith('refusals/')) this.refusals.set(key.slice('refusals/'.length), (JSON.parse(entry.value) as { why: string }).why)
      else if (key.startsWith('events/') && event.kind === 'change') this.events.seen(entry.value)
    }
    const puts = entries.flatMap((entry) =>
      followed.test(relative(entry.key)) ? [{ key: relative(entry.key), value: entry.value, modRevision: entry.modRevision }] : [],
    )
    const deletes =
      event.kind === 'reset'
        ? []
        : event.deletes.map((gone) => ({ key: relative(gone.key), modRevision: gone.modRevision })).filter((gone) => followed.test(gone.key))
    if (event.kind === 'reset' || puts.length > 0 || deletes.length > 0) this.input({ kind: 'store', reset: event.kind === 'reset', puts, deletes })
    this.input({ kind: 'storeFollowed', followed: true })
    if (this.cluster !== null && !this.registering) void this.register()
  }

  /** Joins the cluster once there is one; a refusal ends this process, before it has done anything. */
  private async register(): Promise<void> {
    this.registering = true
    for (;;) {
      try {
        return await registerNode(this.keyed, this.config, this.identity)
      } catch (failure) {
        if (failure instanceof HandoffError && (failure.code === 'NODE_NAME_TAKEN' || failure.code === 'NODE_ADDRESS_TAKEN')) {
          this.log.fatal({ code: failure.code, remedy: failure.remedy }, failure.message)
          process.stderr.write(`handoffd: ${failure.code}: ${failure.message}\n  remedy: ${failure.remedy}\n`)
          await this.end('stop')
          process.exit(1)
        }
        await new Promise((resolve) => setTimeout(resolve, 200))
      }
    }
  }

  private afterStep(): void {
    const view = this.supervisor.view()
    this.tellPeers(view.nodes)
    for (const group of view.groups) {
      const { name } = group.config
      if (this.known.has(name) || !group.config.nodes.includes(view.self)) continue
      this.known.add(name)
      this.addresses
        .add(group.config, (input) => this.input(input))
        .catch((failure: Error) => this.log.error({ group: name, failure: failure.message }, 'addresses'))
      if (group.config.kind === 'storage-group')
        this.copies.add(group.config).catch((failure: Error) => this.log.error({ group: name, failure: failure.stack }, 'copy'))
    }
    for (const group of view.groups) {
      if (group.instance?.kind === 'primary' && group.instance.gate === 'open' && isServing(view, group)) this.createDatabases(group.config.name)
      if (group.service?.kind === 'absent' && this.mounts?.connected === true)
        this.input({ kind: 'service', group: group.config.name, state: { kind: 'warm' } })
      if (group.service !== null && group.service.kind !== 'absent' && this.mounts?.connected !== true) {
        this.services.forget(group.config.name)
        this.input({ kind: 'service', group: group.config.name, state: { kind: 'absent' } })
      }
    }
    this.tellMounts()
  }

  private tellPeers(nodes: ReadonlyMap<string, NodeConfig>): void {
    const peers = [...nodes.values()].map((node) => ({ node: node.id, role: node.role, addresses: node.addresses, port: node.heartbeatPort }))
    const text = JSON.stringify(peers)
    if (text === this.peersTold || peers.length === 0) return
    this.peersTold = text
    this.guardian?.setPeers(peers)
  }

  private tellMounts(): void {
    this.mounts?.publish(
      mountsOf(this.supervisor.view(), {
        user: 'handoff',
        password: this.secrets.postgresPassword,
        databases: [...this.databases.values()].filter((database) => database.created === true),
        serving: new Set(this.services.serving.keys()),
      }),
    )
  }

  /** The owner of a storage group makes the databases that are wanted in it. */
  private createDatabases(group: GroupId): void {
    for (const database of this.databases.values()) {
      if (database.storageGroup !== group || database.created === true || this.creating.has(database.name)) continue
      this.creating.add(database.name)
      const work = async (): Promise<void> => {
        await this.copies.instance(group)?.createDatabase(database.name)
        await this.keyed.put(`databases/${database.name}`, JSON.stringify({ ...database, created: true }))
      }
      work()
        .catch((failure: Error) => this.log.warn({ database: database.name, failure: failure.message }, 'database not created yet'))
        .finally(() => this.creating.delete(database.name))
    }
  }

  private guard(deadlines: readonly GroupDeadline[]): void {
    this.guardian?.guard(
      deadlines.map((entry) => ({
        group: entry.group,
        epoch: entry.epoch,
        deadlineMs: Number.isFinite(entry.deadline) ? entry.deadline : null,
        processes: [],
        directories: [{ path: join(copyDirectory(this.config.dataDirectory, entry.group), 'data'), program: 'postgres' }],
        addresses:
          this.supervisor
            .view()
            .groups.find((group) => group.config.name === entry.group)
            ?.config.addresses.filter((address) => !address.startsWith('127.')) ?? [],
      })),
    )
  }

  private regular(): void {
    if (monotonicMs() - this.storeSeenAt > storeQuietMs) this.input({ kind: 'storeFollowed', followed: false })
    void this.mailbox?.check()
    void this.keepLeaderElsewhere()
  }

  /** Losing the leader of the cluster database together with an active copy would make a failover wait for an election. */
  private async keepLeaderElsewhere(): Promise<void> {
    const { store, node, role } = this.config
    if (store.kind !== 'etcd' || this.member === null || role !== 'data') return
    const nodes = this.supervisor.view().nodes
    const prefer = store.members.filter((member) => nodes.get(nodeId(member.name))?.role === 'witness')
    const own = store.members.find((member) => member.name === node)
    if (own === undefined || prefer.length === 0) return
    await keepLeaderOff(
      { off: own.clientUrl, prefer: prefer.map((member) => member.clientUrl) },
      readCredentials({ tls: store.tls, user: store.user, passwordFile: store.passwordFile }),
    ).catch(() => undefined)
  }

  /** @throws HandoffError GROUP_UNKNOWN, MOVE_REFUSED when this node's copy is the active one, or still in sync */
  private async reseed(name: string): Promise<void> {
    const view = this.supervisor.view()
    const group = view.groups.find((candidate) => candidate.config.name === name)
    const instance = this.copies.instance(groupId(name))
    if (group === undefined || instance === undefined) throw new HandoffError('GROUP_UNKNOWN', `this node has no copy of "${name}"`)
    if (group.record?.owner === view.self)
      throw new HandoffError(
        'NOT_LOCAL',
        `the copy of "${name}" on this node is the active one; run this on ${group.config.nodes.filter((node) => node !== view.self).join(' or ')}`,
      )
    await instance.stop({ mode: 'immediate' })
    // The data goes only when the owner does not count on this copy any more: it drops a stopped one at once.
    for (
      let waited = 0;
      this.supervisor
        .view()
        .groups.find((entry) => entry.config.name === name)
        ?.record?.inSync.includes(view.self) === true;
      waited += 1
    ) {
      if (waited > 500)
        throw new HandoffError('MOVE_REFUSED', `the copy of "${name}" on this node is still in the in-sync set: the active copy cannot be reached`)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    await instance.stop({ mode: 'immediate' })
    rmSync(join(copyDirectory(this.config.dataDirectory, name), 'data'), { recursive: true, force: true })
    this.input({ kind: 'instance', group: groupId(name), state: await instance.inspect(), asOf: monotonicMs() })
  }

  /** `stop`: hand this node's groups over, take down what stays, and end everything. `detach`: end this process only; the next one adopts what runs. */
  async end(how: 'stop' | 'detach'): Promise<void> {
    this.log.info({ how }, 'ending')
    if (how === 'stop') await handOverFirst({ admin: this.admin, view: () => this.supervisor.view(), log: this.log })
    this.loop.stop()
    for (const timer of this.timers) clearInterval(timer)
    this.watch?.close()
    await this.api?.close()
    if (how === 'stop') {
      await this.mailbox?.stop()
      await Promise.allSettled(this.copies.all.map(({ instance }) => instance.stop({ mode: 'fast', timeoutMs: 3000 })))
      await Promise.allSettled([...this.known].flatMap((group) => this.addresses.of(group).map((address) => address.release())))
      await this.guardian?.stop()
      await this.session.end().catch(() => undefined)
    } else {
      for (const { instance } of this.copies.all) instance.detach()
      this.guardian?.detach()
    }
    this.mounts?.close()
    await this.store.close()
    await this.embedded?.close()
    if (how === 'stop') await this.member?.stop()
    else this.member?.detach()
  }
}

function storeOptions(config: Config): Parameters<typeof openStore>[0] {
  const { store } = config
  if (store.kind === 'embedded') return { kind: 'embedded', endpoint: store.endpoint }
  return {
    kind: 'etcd',
    endpoints: ownFirst(store.endpoints, store.members.find((member) => member.name === config.node)?.clientUrl),
    ...(store.tls === undefined ? {} : { tls: store.tls }),
    ...(store.user === undefined ? {} : { user: store.user }),
    ...(store.passwordFile === undefined ? {} : { passwordFile: store.passwordFile }),
  }
}

/** The member on this node is the nearest, and lives when this node does. */
function ownFirst(endpoints: readonly string[], own: string | undefined): string[] {
  const isOwn = (endpoint: string): boolean => own?.endsWith(endpoint) === true
  return [...endpoints].sort((left, right) => Number(isOwn(right)) - Number(isOwn(left)))
}
