import type { InstanceState, StandbyProgress } from '../replication/instance.ts'
import { type Lsn, lsn, parseLsn, zeroLsn } from '../replication/lsn.ts'
import type { Server } from './server.ts'
import type { NodeId } from './settings.ts'

/** What only the cluster service knows of a running primary: PostgreSQL cannot be asked for it. */
export interface Known {
  readonly synchronous: readonly NodeId[]
  readonly synchronousSince: Lsn
  readonly tailLsn: Lsn | null
  /** Where the timeline of this primary begins. */
  readonly timelineBegin: Lsn
  readonly quiesced: { readonly target: NodeId; readonly lsn: Lsn } | null
}

export const nothingKnown: Known = {
  synchronous: [],
  synchronousSince: zeroLsn,
  tailLsn: null,
  quiesced: null,
  // Not known: nobody counts as streaming from here.
  timelineBegin: lsn(0xffff_ffff_ffff_ffffn),
}

export interface Observation {
  readonly state: Extract<InstanceState, { kind: 'standby' | 'primary' }>
  /** Physical slots of ours. */
  readonly slots: readonly string[]
}

interface Row {
  readonly recovering: boolean
  readonly system_id: string
  readonly upstream: string
  readonly epoch: string
  readonly gate: string
  readonly received: string | null
  readonly replayed: string | null
  readonly receiver: { readonly status: string; readonly timeline: number | null; readonly flushed: string | null; readonly newer: boolean } | null
  readonly flushed: string | null
  readonly timeline: number | null
  readonly control_timeline: number
  readonly standbys: readonly { readonly name: string; readonly state: string; readonly flushed: string | null; readonly sent: string | null }[] | null
  readonly slots: readonly string[] | null
}

/** One cheap query, both parts: `case` keeps the functions that a part does not allow from being called. */
const query = `
select r.recovering,
  (select system_identifier::text from pg_control_system()) as system_id,
  current_setting('handoff.upstream', true) as upstream,
  current_setting('handoff.epoch', true) as epoch,
  current_setting('handoff.gate', true) as gate,
  case when r.recovering then pg_last_wal_receive_lsn()::text end as received,
  case when r.recovering then pg_last_wal_replay_lsn()::text end as replayed,
  case when r.recovering then (select json_build_object('status', status, 'timeline', received_tli, 'flushed', flushed_lsn,
    'newer', exists (select from pg_stat_file('pg_wal/' || upper(lpad(to_hex(received_tli + 1), 8, '0')) || '.history', true) as file where file.size is not null)) from pg_stat_wal_receiver) end as receiver,
  case when not r.recovering then pg_current_wal_flush_lsn()::text end as flushed,
  case when not r.recovering then ('x' || substring(pg_walfile_name(pg_current_wal_lsn()) for 8))::bit(32)::int end as timeline,
  (select timeline_id from pg_control_checkpoint()) as control_timeline,
  (select json_agg(json_build_object('name', application_name, 'state', state, 'flushed', flush_lsn, 'sent', sent_lsn)) from pg_stat_replication) as standbys,
  (select json_agg(slot_name) from pg_replication_slots where slot_type = 'physical' and slot_name like 'handoff\\_%') as slots
from (select pg_is_in_recovery() as recovering) r`

/** @throws HandoffError POSTGRES_TIMEOUT when the instance does not answer: a hung disk is seen like that */
export async function observe(server: Server, known: Known, timeoutMs: number): Promise<Observation> {
  const row = (await server.observer.query<Row>(query, { timeoutMs }))[0]!
  return { state: row.recovering ? standby(row) : primary(row, known), slots: row.slots ?? [] }
}

function standby(row: Row): Extract<InstanceState, { kind: 'standby' }> {
  const positions = [row.received, row.replayed, row.receiver?.flushed].map((text) => (text == null ? 0n : parseLsn(text)))
  return {
    kind: 'standby',
    systemId: row.system_id,
    upstream: row.upstream === '' || row.upstream === null ? null : (row.upstream as NodeId),
    // A copy whose log goes beyond the point where a newer timeline parts cannot follow it: it is sent the old timeline's last
    // segment over and over, and looks like streaming in between. It has the newer timeline's history file by then.
    streaming: row.receiver?.status === 'streaming' && !row.receiver.newer,
    // A walreceiver that has just begun reports the start of its segment, before what has been replayed from the disk.
    receivedLsn: lsn(positions.reduce((most, position) => (position > most ? position : most))),
    replayedLsn: lsn(row.replayed === null ? 0n : parseLsn(row.replayed)),
    timeline: Math.max(row.receiver?.timeline ?? 0, row.control_timeline),
  }
}

function primary(row: Row, known: Known): Extract<InstanceState, { kind: 'primary' }> {
  const { timelineBegin, ...told } = known
  return {
    kind: 'primary',
    systemId: row.system_id,
    epoch: Number(row.epoch),
    gate: row.gate === 'open' ? 'open' : 'closed',
    ...told,
    currentLsn: parseLsn(row.flushed ?? '0/0'),
    timeline: row.timeline ?? row.control_timeline,
    standbys: (row.standbys ?? []).map(
      (entry): StandbyProgress => ({
        node: entry.name as NodeId,
        // The same seen from here: what it was sent ends where our timeline begins, and the position that it says it has flushed,
        // though perhaps beyond ours, is of another log.
        streaming: entry.state === 'streaming' && entry.sent !== null && parseLsn(entry.sent) > timelineBegin,
        flushLsn: entry.flushed === null ? lsn(0n) : parseLsn(entry.flushed),
      }),
    ),
  }
}
