import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { CopyStatus, GroupStatus, NodeStatus } from '../../src/admin/schemas.ts'
import { apiClient } from '../../src/cli/client.ts'
import { copyDirectory, handoffdSocket } from '../../src/config/paths.ts'
import { readSecrets } from '../../src/daemons/handoffd/secrets.ts'
import { clientProgram } from './build.ts'
import type { MailboxEntry } from './clients/checker.ts'
import { configFile, dataDirectory, mailAddress, mailDatabase, mailServer, type NodeOptions, nodeYaml, secretFile, sqlAddress, storageGroup } from './config.ts'
import { repository } from './host.ts'
import { addressOf, type DataName, dataNames, type MemberName, memberNames } from './layout.ts'
import type { Rig } from './rig.ts'
import { until } from './wait.ts'

export type Status = {
  readonly storeReachable: boolean
  readonly nodes: readonly NodeStatus[]
  readonly groups: readonly GroupStatus[]
  readonly copies: readonly CopyStatus[]
}

export const sqlUser = 'rig'
export const mailUser = { user: 'rig@rig.test', password: 'rig' } as const

/** One cluster suffers many faults on purpose. */
const manyFaults = ['--failover-threshold', '100']

/** Handoff on the hosts of a rig: two data nodes and a witness with managed etcd, one storage group, and a mailbox server if wanted. */
export class RigCluster {
  readonly rig: Rig
  readonly options: NodeOptions

  constructor(rig: Rig, options: NodeOptions) {
    this.rig = rig
    this.options = options
  }

  /** From empty disks to a healthy cluster that clients can use. */
  static async create(rig: Rig, options: NodeOptions): Promise<RigCluster> {
    const cluster = new RigCluster(rig, options)
    try {
      await cluster.make()
    } catch (cause) {
      throw new Error(`the cluster could not be made: ${(cause as Error).message}\n${cluster.lastLines()}`, { cause })
    }
    return cluster
  }

  private async make(): Promise<void> {
    const { rig, options } = this
    const secret = `${randomBytes(32).toString('hex')}\n`
    for (const host of memberNames) {
      writeFileSync(rig.pathOn(host, secretFile), secret, { mode: 0o600 })
      writeFileSync(rig.pathOn(host, configFile), nodeYaml(host, options))
      await this.startDaemon(host)
    }
    await until('the daemons to reach the cluster database', async () => (await this.status('node1')).storeReachable, { timeoutMs: 60_000 })
    await this.handoff('node1', ['cluster', 'create', '--name', 'rig'])
    await until(
      'every node to be up',
      async () => {
        const { nodes } = await this.status('node1')
        return nodes.length === memberNames.length && nodes.every((node) => node.state === 'up')
      },
      { timeoutMs: 60_000 },
    )
    await this.handoff('node1', ['storage-group', 'create', storageGroup, '--nodes', 'node1,node2', '--address', sqlAddress, ...manyFaults], 180_000)
    await this.makeSqlClient()
    if (options.mail) await this.makeMailServer()
    await this.untilHealthy()
  }

  async startDaemon(host: MemberName): Promise<void> {
    await this.rig.start(host, 'handoffd', [process.execPath, join(repository, 'bin/handoffd'), '--config', configFile])
  }

  /** A crashed host comes back as a machine does: with its disk, and handoffd started by its init. */
  async boot(host: MemberName): Promise<void> {
    await this.rig.boot(host)
    await this.startDaemon(host)
  }

  /** The `handoff` command on a host. @returns what it printed as JSON; undefined when that was nothing or text */
  async handoff<T = unknown>(host: MemberName, args: readonly string[], timeoutMs = 90_000): Promise<T | undefined> {
    const out = await this.rig.run(host, [process.execPath, join(repository, 'bin/handoff'), '--config', configFile, ...args, '--json'], { timeoutMs })
    try {
      return JSON.parse(out) as T
    } catch {
      return undefined
    }
  }

  /** Straight from the daemon's socket, which is a file that this machine sees too: quick enough to be asked often. */
  async status(host: MemberName): Promise<Status> {
    return await apiClient(handoffdSocket(this.rig.pathOn(host, dataDirectory))).get<Status>('/cluster')
  }

  async group(host: MemberName, name = storageGroup): Promise<GroupStatus> {
    const found = (await this.status(host)).groups.find((group) => group.group === name)
    if (found === undefined) throw new Error(`${host} knows no group ${name}`)
    return found
  }

  /** The owner of the storage group as the witness knows it: it is in no fault's way. */
  async owner(): Promise<DataName> {
    for (const host of ['witness', ...dataNames] as const) {
      try {
        const { owner } = await this.group(host)
        if (owner === 'node1' || owner === 'node2') return owner
      } catch {
        // this one is down; the next is asked
      }
    }
    throw new Error('no node tells who owns the storage group')
  }

  /** Both copies in sync, every node up as every node sees it, every group online. */
  async healthy(): Promise<boolean> {
    return (await this.ailments()).length === 0
  }

  /** What keeps the cluster from being healthy. */
  async ailments(): Promise<string[]> {
    const found: string[] = []
    for (const host of memberNames) {
      let status: Status
      try {
        status = await this.status(host)
      } catch (error) {
        found.push(`${host}: ${(error as Error).message}`)
        continue
      }
      if (!status.storeReachable) found.push(`${host}: cluster database not reachable`)
      for (const node of status.nodes) {
        if (node.state !== 'up') found.push(`${host}: ${node.node} is ${node.state}`)
        for (const [network, seen] of Object.entries(node.networks)) if (seen.state !== 'up') found.push(`${host}: ${node.node} on ${network} is ${seen.state}`)
      }
      for (const group of status.groups) {
        if (group.state !== 'online') found.push(`${host}: ${group.group} is ${group.state}`)
        if (group.inSync.length !== 2) found.push(`${host}: ${group.group} has in sync: ${group.inSync.join(', ')}`)
      }
      for (const copy of status.copies)
        if (copy.status !== 'Healthy' && copy.status !== 'Active') found.push(`${host}: ${copy.group} on ${copy.node} is ${copy.status} ${copy.detail ?? ''}`)
    }
    return found
  }

  async untilHealthy(timeoutMs = 120_000): Promise<void> {
    let last: string[] = []
    await until('the cluster to be healthy', async () => (last = await this.ailments()).length === 0, { timeoutMs, everyMs: 100 }).catch((cause: unknown) => {
      throw new Error(`the cluster did not become healthy within ${timeoutMs} ms:\n${last.join('\n')}\n${this.lastLines()}`, { cause })
    })
  }

  async move(to: DataName, name: string = storageGroup): Promise<void> {
    await this.handoff('witness', name === mailServer ? ['server', 'move', name, '--to', to] : ['group', 'move', name, '--to', to])
  }

  /** The host whose etcd member leads. */
  async etcdLeader(): Promise<MemberName | undefined> {
    for (const host of memberNames) {
      const url = `http://${addressOf(host, 'private')}:2379/metrics`
      const { status, stdout } = await this.rig.exec(host, ['curl', '-fsm', '2', url], { timeoutMs: 5000 })
      if (status === 0 && /^etcd_server_is_leader 1$/m.test(stdout)) return host
    }
    return undefined
  }

  async moveEtcdLeader(to: MemberName): Promise<void> {
    const from = await until('etcd to have a leader', () => this.etcdLeader(), { timeoutMs: 10_000 })
    if (from === to) return
    const at = (host: MemberName): string => `http://${addressOf(host, 'private')}:2379`
    const etcdctl = (host: MemberName, args: readonly string[]): Promise<string> =>
      this.rig.run(host, ['etcdctl', '--endpoints', at(host), ...args], { environment: { ETCDCTL_API: '3' } })
    const list = await etcdctl(from, ['member', 'list'])
    const id = list
      .split('\n')
      .find((line) => line.split(', ')[2] === to)
      ?.split(', ')[0]
    if (id === undefined) throw new Error(`etcd has no member ${to}:\n${list}`)
    // A data node's cluster service moves the leader to the witness again within half a second, so it is asked for until it is seen.
    await until(
      `etcd's leader to be ${to}`,
      async () => {
        const leader = await this.etcdLeader()
        if (leader === to) return true
        if (leader !== undefined) await etcdctl(leader, ['move-leader', id]).catch(() => undefined)
        return (await this.etcdLeader()) === to
      },
      { timeoutMs: 10_000 },
    )
  }

  /** One statement as the plain SQL client, through the virtual address. */
  async sql(statement: string): Promise<string> {
    const args = ['psql', '-h', sqlAddress, '-U', sqlUser, '-d', sqlUser, '-XAtq', '-v', 'ON_ERROR_STOP=1', '-c', statement]
    return (await this.rig.run('client', args, { environment: { PGCONNECT_TIMEOUT: '3' } })).trim()
  }

  async idsOf(writer: number): Promise<number[]> {
    return (await this.sql(`select id from w where writer = ${writer}`))
      .split('\n')
      .filter((line) => line !== '')
      .map(Number)
  }

  /** Everything in the mailbox, read over IMAP. */
  async mailbox(): Promise<MailboxEntry[]> {
    const out = join(this.rig.directory('records'), 'mailbox.json')
    const program = await clientProgram('list-mailbox')
    await this.rig.run('client', [process.execPath, program, '--host', mailAddress, '--out', out], { timeoutMs: 90_000 })
    return JSON.parse(readFileSync(out, 'utf8')) as MailboxEntry[]
  }

  /** Ends of the daemons' logs, for the message of a failed test. */
  lastLines(count = 15): string {
    return memberNames.map((host) => `--- ${host}\n${this.rig.logOf(host, 'handoffd').trimEnd().split('\n').slice(-count).join('\n')}`).join('\n')
  }

  /** A role and a database of plain SQL clients, made by the superuser on the owner's Unix socket. */
  private async makeSqlClient(): Promise<void> {
    const owner = await this.owner()
    const { postgresPassword } = readSecrets(this.rig.pathOn(owner, secretFile))
    const socket = join(copyDirectory(dataDirectory, storageGroup), 'socket')
    const psql = ['psql', '-h', socket, '-U', 'handoff', '-XAtq', '-v', 'ON_ERROR_STOP=1']
    const environment = { PGPASSWORD: postgresPassword }
    for (const statement of [`create role ${sqlUser} login`, `create database ${sqlUser} owner ${sqlUser}`])
      await this.rig.run(owner, [...psql, '-d', 'postgres', '-c', statement], { environment })
    await until('the storage group to answer on its virtual address', () => this.sql('select 1'), { timeoutMs: 20_000 })
    await this.sql('create table w(writer bigint, id bigint)')
  }

  private async makeMailServer(): Promise<void> {
    await this.handoff('node1', ['database', 'create', mailDatabase, '--storage-group', storageGroup])
    await this.handoff('node1', ['server', 'create', mailServer, '--nodes', 'node1,node2', '--address', mailAddress, '--database', mailDatabase, ...manyFaults])
    await until(
      'a mailbox to be made',
      async () => {
        await this.handoff('node1', ['mailbox', 'create', mailUser.user, '--password', mailUser.password])
        return true
      },
      { timeoutMs: 30_000 },
    )
  }
}
