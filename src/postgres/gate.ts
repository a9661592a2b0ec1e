import { HandoffError } from '../errors.ts'
import { type Lsn, parseLsn } from '../replication/lsn.ts'
import type { Server } from './server.ts'
import { ownSessionPrefix } from './session.ts'
import { handoffRole, type NodeId, type Part, replicatorRole } from './settings.ts'
import { waitFor } from './wait.ts'

type PrimaryPart = Extract<Part, { kind: 'primary' }>

export async function openGate(server: Server, part: PrimaryPart, signal: AbortSignal): Promise<PrimaryPart> {
  const next: PrimaryPart = { ...part, gate: 'open' }
  server.apply(next)
  await server.reloaded({ 'handoff.gate': 'open' }, signal)
  return next
}

/**
 * Lets nobody in any more and ends the sessions that there are: idle ones at once, those in a transaction after `graceMs`.
 * A session that was still logging in finds `default_transaction_read_only` before its first command.
 */
export async function closeGate(server: Server, part: PrimaryPart, options: { readonly graceMs: number; readonly signal: AbortSignal }): Promise<PrimaryPart> {
  const next: PrimaryPart = { ...part, gate: 'closed' }
  server.apply(next)
  await server.reloaded({ 'handoff.gate': 'closed' }, options.signal)
  const graceEnds = performance.now() + options.graceMs
  await waitFor(
    async () => {
      const everybody = performance.now() >= graceEnds
      const rows = await server.control.query<{ pid: number }>(
        `select pid, case when $1 or state = 'idle' then pg_terminate_backend(pid) end from pg_stat_activity
         where backend_type = 'client backend' and usename <> $2 and pid <> pg_backend_pid()
           and not (usename = $3 and client_addr is null and application_name like $4)`,
        { values: [everybody, replicatorRole, handoffRole, `${ownSessionPrefix}%`] },
      )
      return rows.length === 0
    },
    { timeoutMs: options.graceMs + 3000, signal: options.signal, what: 'the sessions of clients to end' },
  )
  return next
}

/** The end of the log, when the target has been seen to have all of it on its disk. */
export async function confirmedEnd(server: Server, target: NodeId, options: { readonly timeoutMs: number; readonly signal: AbortSignal }): Promise<Lsn> {
  // A commit of ours brings what clients wrote with synchronous_commit = off to the disk, too.
  await server.control.query(`select pg_logical_emit_message(true, 'handoff', 'quiesced')`)
  const rows = await server.control.query<{ position: string }>('select pg_current_wal_flush_lsn()::text as position')
  const end = parseLsn(rows[0]!.position)
  await waitFor(async () => (await flushedOn(server, target)) >= end, { ...options, what: `${target} to have the end of the log on its disk` })
  return end
}

/** How much the target lacks, before anybody is made to wait for it. */
export async function refuseFarBehind(server: Server, target: NodeId, bytesMax: bigint): Promise<void> {
  const rows = await server.control.query<{ position: string }>('select pg_current_wal_flush_lsn()::text as position')
  const behind = parseLsn(rows[0]!.position) - (await flushedOn(server, target))
  if (behind > bytesMax)
    throw new HandoffError('POSTGRES_WRONG_STATE', `cannot quiesce for ${target}: it is ${behind} bytes behind, at most ${bytesMax} are waited for`)
}

async function flushedOn(server: Server, target: NodeId): Promise<bigint> {
  const rows = await server.control.query<{ flushed: string | null }>(
    `select flush_lsn::text as flushed from pg_stat_replication where application_name = $1 and state = 'streaming'`,
    {
      values: [target],
    },
  )
  const flushed = rows[0]?.flushed
  if (flushed == null) throw new HandoffError('POSTGRES_WRONG_STATE', `cannot quiesce for ${target}: it is not streaming from here`)
  return parseLsn(flushed)
}
