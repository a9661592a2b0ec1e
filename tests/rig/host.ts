import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { attempt, type CommandOptions, type CommandResult } from './command.ts'
import { addressOf, type HostName, hostNames } from './layout.ts'
import { plugIn } from './network.ts'
import { type HostProcess, processesBeside, signalAll } from './processes.ts'
import { until } from './wait.ts'

/** Where a rig is: the prefix of its namespaces, and its directory on the machine. */
export type Place = { readonly prefix: string; readonly base: string }

/** The unprivileged user in whose name something runs on a host. */
export type User = 'root' | 'postgres'

const repository = fileURLToPath(new URL(import.meta.url.includes('/dist-bench/') ? '../../../' : '../../', import.meta.url))
const searchPath = '/usr/lib/postgresql/15/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** The host's disk as the machine sees it; the host sees it as /mnt. */
export const diskOf = (place: Place, host: HostName): string => join(place.base, host, 'disk')
const initFile = (place: Place, host: HostName): string => join(place.base, host, 'init.json')

/** Starts a host: fresh network stack, own pid, mount, uts and ipc namespaces, an init as pid 1. Its disk is what it was. */
export async function bootHost(place: Place, host: HostName): Promise<void> {
  const own = join(place.base, host)
  for (const name of ['tmp', 'log']) {
    mkdirSync(join(diskOf(place, host), name), { recursive: true })
    chmodSync(join(diskOf(place, host), name), 0o1777)
  }
  rmSync(join(own, 'ready'), { force: true })
  await plugIn(place.prefix, host)
  const log = openSync(join(own, 'init.log'), 'a')
  const names = ['127.0.0.1 localhost', ...hostNames.map((name) => `${addressOf(name, 'public')} ${name}`)].join('\\n')
  const init = join(repository, 'tests/rig/init.sh')
  const outer = spawn(
    'nsenter',
    [`--net=/run/netns/${place.prefix}-${host}`, 'unshare', '-m', '-u', '-i', '-p', '-f', '/bin/bash', init, host, own, `${names}\\n`],
    {
      detached: true,
      stdio: ['ignore', log, log],
      cwd: '/',
    },
  )
  outer.unref()
  const pid = outer.pid
  if (pid === undefined) throw new Error(`host ${host}: nsenter did not start`)
  await until(`host ${host} to boot (see ${join(own, 'init.log')})`, () => existsSync(join(own, 'ready')), { timeoutMs: 20_000, everyMs: 10 })
  const child = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
  writeFileSync(initFile(place, host), JSON.stringify({ init: Number(child) }))
}

/** Pid 1 of a host as the machine sees it; undefined when the host is down. */
export function initOf(place: Place, host: HostName): number | undefined {
  try {
    const { init } = JSON.parse(readFileSync(initFile(place, host), 'utf8')) as { init: number }
    const command = readFileSync(`/proc/${init}/cmdline`, 'utf8').split('\0')
    return command.includes(join(place.base, host)) ? init : undefined // a recycled pid is another program's
  } catch {
    return undefined
  }
}

/** One signal, and the kernel ends every process of the host at once. */
export function killHost(place: Place, host: HostName): void {
  const init = initOf(place, host)
  if (init !== undefined) signalAll([init], 'SIGKILL')
}

export async function hostGone(place: Place, host: HostName): Promise<void> {
  await until(`host ${host} to be gone`, () => initOf(place, host) === undefined, { timeoutMs: 30_000, everyMs: 5 })
}

export function processesOf(place: Place, host: HostName): HostProcess[] {
  const init = initOf(place, host)
  return init === undefined ? [] : processesBeside(init)
}

/** Stops every process of a host, its init included, until none is left running: what forks meanwhile is caught in the next round. */
export function freezeHost(place: Place, host: HostName): void {
  const stopped = new Set<number>()
  for (;;) {
    const running = processesOf(place, host).filter((entry) => !stopped.has(entry.pid))
    if (running.length === 0) return
    signalAll(
      running.map((entry) => entry.pid),
      'SIGSTOP',
    )
    for (const entry of running) stopped.add(entry.pid)
  }
}

export function thawHost(place: Place, host: HostName): void {
  signalAll(
    processesOf(place, host).map((entry) => entry.pid),
    'SIGCONT',
  )
}

function enter(place: Place, host: HostName, user: User, command: readonly string[]): string[] {
  const init = initOf(place, host)
  if (init === undefined) throw new Error(`host ${host} is down`)
  const as = user === 'root' ? ['env', 'HOME=/root'] : ['setpriv', `--reuid=${user}`, `--regid=${user}`, '--init-groups', 'env', 'HOME=/mnt']
  return ['-t', String(init), '-m', '-u', '-i', '-n', '-p', '--', ...as, `PATH=${hostPath}`, 'TMPDIR=/mnt/tmp', 'TZ=UTC', ...command]
}

const hostPath = `${searchPath}:${join(process.execPath, '..')}`

/** Runs a command on a host to its end; any exit status is a result. */
export function execOn(
  place: Place,
  host: HostName,
  command: readonly string[],
  options: CommandOptions & { readonly user?: User } = {},
): Promise<CommandResult> {
  return attempt('nsenter', enter(place, host, options.user ?? 'root', command), options)
}

/** Starts a daemon on a host, child of the host's init; its output goes to a file on the host's disk. */
export async function startDaemon(place: Place, host: HostName, name: string, command: readonly string[], user: User = 'root'): Promise<void> {
  const script = 'log=$1; shift; exec setsid -f "$@" </dev/null >>"$log" 2>&1'
  const result = await execOn(place, host, ['/bin/bash', '-c', script, name, `/mnt/log/${name}.log`, ...command], { user })
  if (result.status !== 0) throw new Error(`host ${host}: cannot start ${name}: ${result.stderr}`)
}

/** A child of this process on a host's network only: what a client is. Killing the child kills the program itself. */
export function spawnInNetwork(place: Place, host: HostName, command: readonly string[]): ChildProcess {
  return spawn('nsenter', [`--net=/run/netns/${place.prefix}-${host}`, ...command], { stdio: ['pipe', 'ignore', 'pipe'] })
}

export { repository }
