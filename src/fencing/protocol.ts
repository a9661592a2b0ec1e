import { createHash } from 'node:crypto'
import type { HeartbeatPayload, LivenessPeer, PeerReport } from '../cluster/liveness.ts'
import type { NodeId } from '../cluster/node.ts'
import type { NetworkCounters, OwnAddress } from '../heartbeat/sockets.ts'
import type { ProcessId } from '../host/processes.ts'

/** What a guardian is started with; it is written to its standard input, so that the key is in no file and on no command line. */
export interface GuardianConfig {
  readonly cluster: string
  readonly self: NodeId
  readonly own: readonly OwnAddress[]
  readonly port: number
  /** Derived from the cluster secret for heartbeats alone, hexadecimal. */
  readonly heartbeatKey: string
  readonly intervalMs: number
  readonly threshold: number
  /** Feed this watchdog device; the machine is restarted when the guardian does not run for the device's timeout. */
  readonly watchdog?: { readonly device: string; readonly feedEveryMs: number }
}

/** The lock that makes the guardian of a socket the only one. */
export const guardianLock = (socketPath: string): string => `${socketPath}.lock`

/** Tells configurations apart without showing the key. */
export const configMark = (config: GuardianConfig): string => createHash('sha256').update(JSON.stringify(config)).digest('hex').slice(0, 16)

export interface GuardedPeer extends LivenessPeer {
  readonly port: number
}

/** A group that this node serves, and what the guardian takes down when its deadline passes. */
export interface GuardedGroup {
  readonly group: string
  readonly epoch: number
  /** Of CLOCK_MONOTONIC, which is one for all processes of a machine; null when nobody else could take the group over. */
  readonly deadlineMs: number | null
  /** Killed, with the process groups that they lead. */
  readonly processes: readonly ProcessId[]
  /**
   * Every process of the program (by the name of its file) that works in the directory is killed too: PostgreSQL's backends have sessions
   * of their own, outlive a killed postmaster until they next look for it, and stay in the data directory. An operator's shell there is left alone.
   */
  readonly directories: readonly { readonly path: string; readonly program: string }[]
  /** Virtual addresses, taken off whatever interface has them. */
  readonly addresses: readonly string[]
}

export type ToGuardian =
  | { readonly type: 'hello'; readonly pid: number }
  | { readonly type: 'peers'; readonly peers: readonly GuardedPeer[] }
  | { readonly type: 'payload'; readonly payload: HeartbeatPayload }
  /** The whole set each time. */
  | { readonly type: 'deadlines'; readonly groups: readonly GuardedGroup[] }
  | { readonly type: 'alive' }
  /** Orderly end: everything has been stopped already. */
  | { readonly type: 'stop' }

export interface Enforcement {
  readonly group: string
  readonly epoch: number
  readonly deadlineMs: number
  /** When it was done (monotonic ms), and how long after the deadline it began. */
  readonly atMs: number
  readonly lateMs: number
  readonly did: readonly string[]
  readonly failed: readonly string[]
}

export type FromGuardian =
  | { readonly type: 'welcome'; readonly boot: string; readonly pid: number; readonly mark: string }
  | { readonly type: 'report'; readonly atMs: number; readonly peers: readonly PeerReport[]; readonly traffic: GuardianTraffic }
  | ({ readonly type: 'enforced' } & Enforcement)

export interface GuardianTraffic {
  readonly networks: Readonly<Record<string, NetworkCounters & { readonly bound: boolean }>>
  /** Datagrams refused, by reason. */
  readonly refused: Readonly<Record<string, number>>
}
