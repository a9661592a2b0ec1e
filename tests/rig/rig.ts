import type { ChildProcess } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { removeDeadRigs, removeRigSync } from './cleanup-rigs.ts'
import type { CommandOptions, CommandResult } from './command.ts'
import {
  bootHost,
  diskOf,
  execOn,
  freezeHost,
  hostGone,
  initOf,
  killHost,
  type Place,
  processesOf,
  spawnInNetwork,
  startDaemon,
  thawHost,
  type User,
} from './host.ts'
import { type HostName, hostNames, type NetworkName, networkNames } from './layout.ts'
import { createSwitch, cutOneWay, type Direction, mendOneWay, setCables } from './network.ts'
import { type HostProcess, ofRole, type Role, signalAll, startTimeOf } from './processes.ts'

/** Why no rig can be made here, in words for a skipped test; undefined when one can. */
export function rigObstacle(): string | undefined {
  if (process.getuid?.() !== 0) return 'network namespaces need root'
  for (const program of ['/usr/bin/nsenter', '/usr/bin/unshare']) if (!existsSync(program)) return `${program} is missing`
  if (!['/sbin/ip', '/usr/sbin/ip', '/bin/ip', '/usr/bin/ip'].some((program) => existsSync(program))) return 'iproute2 is missing'
  return undefined
}

/**
 * Hosts on one machine: two data nodes, a witness and a client, each with its own network stack, processes, name and disk, on a
 * public and a private network. Nothing of it touches the machine's own network. A host's crash is one SIGKILL of its pid 1.
 */
export class Rig {
  readonly place: Place
  private readonly children = new Set<ChildProcess>()
  private readonly onExit = (): void => this.removeSync()
  private readonly onSignal = (signal: NodeJS.Signals): void => {
    this.removeSync()
    process.exit(signal === 'SIGINT' ? 130 : 143)
  }

  constructor(place: Place) {
    this.place = place
  }

  /** Removed again when this process ends, however it ends, unless `keep` names it for other processes to open. */
  static async create(options: { readonly keep?: string } = {}): Promise<Rig> {
    await removeDeadRigs()
    const prefix = options.keep === undefined ? `horig.${process.pid}.${startTimeOf(process.pid)}` : `horig.keep.${options.keep}`
    const rig = new Rig(placeOf(prefix))
    rig.removeSync()
    if (options.keep === undefined) {
      process.once('exit', rig.onExit)
      process.once('SIGINT', rig.onSignal)
      process.once('SIGTERM', rig.onSignal)
    }
    mkdirSync(rig.place.base, { recursive: true })
    chmodSync(rig.place.base, 0o755)
    await createSwitch(prefix)
    for (const host of hostNames) await bootHost(rig.place, host)
    return rig
  }

  /** A rig that another process made with `keep`. */
  static open(name: string): Rig {
    return new Rig(placeOf(`horig.keep.${name}`))
  }

  async close(): Promise<void> {
    for (const child of this.children) child.kill('SIGKILL')
    for (const host of hostNames) killHost(this.place, host)
    for (const host of hostNames) await hostGone(this.place, host)
    this.removeSync()
    process.off('exit', this.onExit)
    process.off('SIGINT', this.onSignal)
    process.off('SIGTERM', this.onSignal)
  }

  private removeSync(): void {
    for (const child of this.children) child.kill('SIGKILL')
    removeRigSync(this.place)
  }

  // -- faults ---------------------------------------------------------------------------------------------------------------

  /** Pulls cables out at the switch: nothing passes, and the host sees no carrier. */
  async cut(host: HostName, network: NetworkName | 'all' = 'all'): Promise<void> {
    await setCables(this.place.prefix, host, network === 'all' ? networkNames : [network], 'down')
  }

  /** Puts cables back and ends one-way cuts. */
  async mend(host: HostName, network: NetworkName | 'all' = 'all'): Promise<void> {
    const names = network === 'all' ? networkNames : [network]
    for (const name of names) await mendOneWay(this.place.prefix, host, name)
    await setCables(this.place.prefix, host, names, 'up')
  }

  /** Loses what the host would receive (`in`) or what it sends (`out`), silently. */
  async cutOneWay(host: HostName, network: NetworkName | 'all', direction: Direction): Promise<void> {
    for (const name of network === 'all' ? networkNames : [network]) await cutOneWay(this.place.prefix, host, name, direction)
  }

  freeze(host: HostName): void {
    freezeHost(this.place, host)
  }

  thaw(host: HostName): void {
    thawHost(this.place, host)
  }

  /** The whole host dies: cables first, so that no FIN or RST of a dying process escapes, then pid 1. */
  async crash(host: HostName): Promise<void> {
    await setCables(this.place.prefix, host, networkNames, 'down')
    killHost(this.place, host)
  }

  /** Brings a crashed host back with its disk, without any daemon. */
  async boot(host: HostName): Promise<void> {
    await hostGone(this.place, host)
    await bootHost(this.place, host)
  }

  isUp(host: HostName): boolean {
    return initOf(this.place, host) !== undefined
  }

  // -- processes ------------------------------------------------------------------------------------------------------------

  processes(host: HostName): HostProcess[] {
    return processesOf(this.place, host)
  }

  withRole(host: HostName, role: Role): HostProcess[] {
    return ofRole(this.processes(host), role)
  }

  /** Signals every process of a role on a host, PostgreSQL's children included. @returns how many there were */
  kill(host: HostName, role: Role, signal: NodeJS.Signals = 'SIGKILL'): number {
    const found = ofRole(this.processes(host), role, { children: 'with' })
    // the parents first: a postmaster must not see its children die and act on it
    const pids = found.map((entry) => entry.pid).sort((left, right) => Number(isParent(found, right)) - Number(isParent(found, left)))
    signalAll(pids, signal)
    return found.length
  }

  exec(host: HostName, command: readonly string[], options: CommandOptions & { readonly user?: User } = {}): Promise<CommandResult> {
    return execOn(this.place, host, command, options)
  }

  /** Runs a command that must succeed. @throws Error with its output */
  async run(host: HostName, command: readonly string[], options: CommandOptions & { readonly user?: User } = {}): Promise<string> {
    const result = await this.exec(host, command, options)
    if (result.status !== 0) throw new Error(`${host}: ${command.join(' ')}: exit ${result.status}\n${result.stdout}${result.stderr}`)
    return result.stdout
  }

  /** Its output goes to /mnt/log/NAME.log on the host. */
  start(host: HostName, name: string, command: readonly string[], user: User = 'root'): Promise<void> {
    return startDaemon(this.place, host, name, command, user)
  }

  /** A program of this machine on a host's network; it ends with the rig. */
  spawnInNetwork(host: HostName, command: readonly string[]): ChildProcess {
    const child = spawnInNetwork(this.place, host, command)
    this.children.add(child)
    child.once('exit', () => this.children.delete(child))
    return child
  }

  // -- files ----------------------------------------------------------------------------------------------------------------

  /** A path on this machine for a path that the host sees below /mnt. */
  pathOn(host: HostName, path: string): string {
    return join(diskOf(this.place, host), path.replace(/^\/mnt\/?/, ''))
  }

  logOf(host: HostName, name: string): string {
    const file = this.pathOn(host, `/mnt/log/${name}.log`)
    return existsSync(file) ? readFileSync(file, 'utf8') : ''
  }

  /** A directory for files of the test itself, such as what clients record. */
  directory(name: string): string {
    const path = join(this.place.base, name)
    mkdirSync(path, { recursive: true })
    return path
  }

  async wipe(host: HostName): Promise<void> {
    rmSync(diskOf(this.place, host), { recursive: true, force: true })
  }
}

function isParent(all: readonly HostProcess[], pid: number): boolean {
  return all.some((entry) => entry.parent === pid)
}

function placeOf(prefix: string): Place {
  return { prefix, base: join(tmpdir(), prefix) }
}
