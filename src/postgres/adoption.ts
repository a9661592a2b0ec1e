import { parseLsn } from '../replication/lsn.ts'
import { type Known, nothingKnown } from './observation.ts'
import { beginningOfLog } from './promotion.ts'
import type { Server } from './server.ts'
import type { NodeId, Part } from './settings.ts'

/**
 * What part a running instance plays, read from itself: an earlier cluster service started it. What was proven to that one is
 * proven again; a log tail that was to be confirmed is at most what is there now.
 */
export async function readPart(server: Server): Promise<{ readonly part: Part; readonly known: Known }> {
  await server.openSessions()
  const row = (await server.control.query<Row>(query))[0]!
  if (row.recovering) {
    const upstream = row.upstream === '' || row.upstream === null ? null : { node: row.upstream as NodeId, host: '', port: 0 }
    return { part: { kind: 'standby', upstream }, known: nothingKnown }
  }
  const gate = row.gate === 'open' ? 'open' : 'closed'
  const tailLsn = gate === 'closed' ? parseLsn(row.flushed ?? '0/0') : null
  return {
    part: { kind: 'primary', epoch: Number(row.epoch), gate, standbyNames: row.names },
    known: { ...nothingKnown, tailLsn, timelineBegin: await beginningOfLog(server) },
  }
}

interface Row {
  readonly recovering: boolean
  readonly epoch: string | null
  readonly gate: string | null
  readonly upstream: string | null
  readonly names: string
  readonly flushed: string | null
}

const query = `
select r as recovering, current_setting('handoff.epoch', true) as epoch, current_setting('handoff.gate', true) as gate,
  current_setting('handoff.upstream', true) as upstream, current_setting('synchronous_standby_names') as names,
  case when not r then pg_current_wal_flush_lsn()::text end as flushed
from pg_is_in_recovery() r`
