import { execFileSync, spawn } from 'node:child_process'
import { chownSync, closeSync, openSync, readFileSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { HandoffError } from '../../errors.ts'
import { type ProcessId, startTicksOf } from '../../host/processes.ts'
import type { EtcdTlsFiles } from './options.ts'

export interface LaunchOptions {
  readonly program: string
  readonly name: string
  readonly dataDirectory: string
  readonly logFile: string
  readonly peerUrl: string
  readonly clientUrl: string
  /** Every member of the cluster, this one included. */
  readonly members: readonly { readonly name: string; readonly peerUrl: string }[]
  /** Keeps clusters apart that were made with the same addresses. */
  readonly token: string
  readonly heartbeatMs: number
  readonly electionMs: number
  readonly quotaBytes: number
  readonly tls?: EtcdTlsFiles | undefined
}

export function etcdArguments(options: LaunchOptions): string[] {
  const tls = options.tls
  return [
    ...['--name', options.name, '--data-dir', options.dataDirectory],
    ...['--listen-peer-urls', options.peerUrl, '--initial-advertise-peer-urls', options.peerUrl],
    ...['--listen-client-urls', options.clientUrl, '--advertise-client-urls', options.clientUrl],
    ...['--initial-cluster', options.members.map((member) => `${member.name}=${member.peerUrl}`).join(',')],
    ...['--initial-cluster-state', 'new', '--initial-cluster-token', options.token],
    ...['--heartbeat-interval', String(options.heartbeatMs), '--election-timeout', String(options.electionMs)],
    // A member that was frozen or cut off must not depose a working leader when it comes back.
    '--pre-vote',
    ...['--auto-compaction-mode', 'revision', '--auto-compaction-retention', '10000'],
    ...['--quota-backend-bytes', String(options.quotaBytes)],
    ...['--logger', 'zap', '--log-level', 'warn'],
    ...(tls === undefined
      ? []
      : [
          ...['--cert-file', tls.certFile, '--key-file', tls.keyFile, '--trusted-ca-file', tls.caFile, '--client-cert-auth'],
          ...['--peer-cert-file', tls.certFile, '--peer-key-file', tls.keyFile, '--peer-trusted-ca-file', tls.caFile, '--peer-client-cert-auth'],
        ]),
  ]
}

export interface StartedEtcd extends ProcessId {
  readonly exited: Promise<void>
}

/** Starts the member so that it goes on when this process ends. @throws HandoffError ETCD_MISSING, ETCD_START_FAILED */
export function launchEtcd(options: LaunchOptions): StartedEtcd {
  const user = unprivilegedUser()
  if (user !== null) chownSync(options.dataDirectory, user.uid, user.gid)
  const log = openSync(options.logFile, 'a', 0o600)
  try {
    const child = spawn(options.program, etcdArguments(options), {
      ...(user ?? {}),
      cwd: '/',
      detached: true,
      stdio: ['ignore', log, log],
      // Variables named ETCD_... would override nothing here, but would make etcd refuse to start when they clash.
      env: { PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' },
    })
    const exited = new Promise<void>((resolve) => {
      child.once('exit', () => resolve())
      child.once('error', () => resolve())
    })
    child.unref()
    if (child.pid === undefined) throw new HandoffError('ETCD_START_FAILED', `"${options.program}" cannot be started`)
    return { pid: child.pid, startTicks: startTicksOf(child.pid) ?? '', exited }
  } finally {
    closeSync(log)
  }
}

/** @throws HandoffError ETCD_MISSING */
export function checkProgram(program: string): void {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore', timeout: 10_000 })
  } catch (cause) {
    throw new HandoffError('ETCD_MISSING', `"${program}" cannot be run: ${(cause as Error).message}`, { cause })
  }
}

/** @throws HandoffError ETCD_PORT_IN_USE */
export async function checkPortFree(url: string, what: 'peer' | 'client'): Promise<void> {
  const { hostname, port } = new URL(url)
  const server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      if (cause.code === 'EADDRINUSE')
        reject(new HandoffError('ETCD_PORT_IN_USE', `etcd cannot listen on its ${what} address "${url}": another process does`, { cause }))
      else
        reject(
          new HandoffError('ETCD_START_FAILED', `etcd cannot listen on its ${what} address "${url}": ${cause.message}`, {
            cause,
            remedy: 'Correct the address in store.members: it must be one of this node.',
          }),
        )
    })
    server.listen({ host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) }, () => resolve())
  })
  await new Promise((resolve) => server.close(resolve))
}

/** Whom etcd runs as when this process is root; null: as the current user. */
function unprivilegedUser(): { readonly uid: number; readonly gid: number } | null {
  if (process.getuid?.() !== 0) return null
  for (const name of ['etcd', 'postgres', 'nobody']) {
    const line = readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .find((candidate) => candidate.startsWith(`${name}:`))
    const [, , uid, gid] = line?.split(':') ?? []
    if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid) }
  }
  return null
}

/** The end of the log from a position on; all of it when it has been cut since. */
export function logSince(file: string, position: number): string {
  try {
    const text = readFileSync(file)
    return text.subarray(position > text.length ? 0 : position).toString('utf8')
  } catch {
    return ''
  }
}

export function sizeOf(file: string): number {
  try {
    return statSync(file).size
  } catch {
    return 0
  }
}
