import type { NodeId } from '../cluster/node.ts'
import type { Lsn } from './lsn.ts'

/**
 * What a node observes of its own copy of a storage group: one PostgreSQL instance.
 * Only facts, no intentions: `decide` compares this with the ownership record and says what to do next.
 */
export type InstanceState =
  | { readonly kind: 'unknown' } // not inspected yet since the cluster service started
  | { readonly kind: 'absent' } // no data directory (or an unfinished one, which counts as none)
  | {
      readonly kind: 'stopped'
      readonly systemId: string
      /** True when the data directory was last run as a primary: its log tail may diverge from the active copy's. */
      readonly wasPrimary: boolean
      /** Set when the last attempt to run it failed; the message names cause and remedy. */
      readonly failure?: string
    }
  | {
      readonly kind: 'standby'
      readonly systemId: string
      /** Whose log it is configured to follow. */
      readonly upstream: NodeId | null
      /** The walreceiver is connected and streaming. */
      readonly streaming: boolean
      /** Flushed to this node's disk. */
      readonly receivedLsn: Lsn
      readonly replayedLsn: Lsn
      readonly timeline: number
    }
  | {
      readonly kind: 'primary'
      readonly systemId: string
      /** The epoch that this instance was promoted (or started) with, from its `handoff.epoch` setting. */
      readonly epoch: number
      /** `closed`: only the cluster service and replication may log in. */
      readonly gate: 'open' | 'closed'
      /** Copies that every commit waits for, *proven* to be in force (see `setSynchronous`). */
      readonly synchronous: readonly NodeId[]
      /** What the setting names at present, proven or not: commits may wait for these. Absent where it is not known to differ from `synchronous`. */
      readonly configured?: readonly NodeId[]
      /** Where the set above came into force: a member whose flush position has reached this has every later commit too. */
      readonly synchronousSince: Lsn
      /** End of the log that was found when the instance started as primary after a crash or stop; null when it was promoted. */
      readonly tailLsn: Lsn | null
      readonly currentLsn: Lsn
      readonly timeline: number
      readonly standbys: readonly StandbyProgress[]
      /** Set by `quiesce`: the last position, and the copy that has been seen to have flushed it. */
      readonly quiesced: { readonly target: NodeId; readonly lsn: Lsn } | null
    }

/** One row of pg_stat_replication, for a walreceiver whose application_name is a node of this cluster. */
export interface StandbyProgress {
  readonly node: NodeId
  readonly streaming: boolean
  readonly flushLsn: Lsn
}
