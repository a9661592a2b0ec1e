import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** For tests only: a throwaway etcd cluster on loopback. */
export interface EtcdCluster {
  readonly endpoints: readonly string[]
  start(member: number): void
  /** Settles when the process is gone. */
  kill(member: number): Promise<void>
  signal(member: number, signal: 'SIGSTOP' | 'SIGCONT'): void
  stop(): Promise<void>
}

export function startEtcdCluster(ports: readonly number[]): EtcdCluster {
  const directory = mkdtempSync(join(tmpdir(), 'handoff-etcd-'))
  const size = ports.length / 2
  const children: (ChildProcess | null)[] = Array.from({ length: size }, () => null)
  const client = (member: number): string => `http://127.0.0.1:${ports[member]}`
  const peer = (member: number): string => `http://127.0.0.1:${ports[size + member]}`
  const members = Array.from({ length: size }, (_, member) => member)
  const cluster: EtcdCluster = {
    endpoints: members.map(client),
    start(member) {
      const urls = [
        '--listen-client-urls',
        client(member),
        '--advertise-client-urls',
        client(member),
        '--listen-peer-urls',
        peer(member),
        '--initial-advertise-peer-urls',
        peer(member),
      ]
      const initial = [
        '--initial-cluster',
        members.map((other) => `m${other}=${peer(other)}`).join(','),
        '--initial-cluster-state',
        'new',
        '--initial-cluster-token',
        directory,
      ]
      const args = [
        '--name',
        `m${member}`,
        '--data-dir',
        join(directory, `m${member}`),
        ...urls,
        ...initial,
        '--heartbeat-interval',
        '50',
        '--election-timeout',
        '500',
        '--log-level',
        'error',
      ]
      children[member] = spawn('/usr/bin/etcd', args, { stdio: 'ignore' })
    },
    async kill(member) {
      const child = children[member]
      if (child === null || child === undefined) return
      children[member] = null
      const gone = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGKILL')
      await gone
    },
    signal: (member, signal) => void children[member]?.kill(signal),
    async stop() {
      await Promise.all(members.map((member) => cluster.kill(member)))
      rmSync(directory, { recursive: true, force: true })
    },
  }
  for (const member of members) cluster.start(member)
  return cluster
}

export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer()
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      return server
    }),
  )
  const ports = servers.map((server) => (server.address() as { port: number }).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}
