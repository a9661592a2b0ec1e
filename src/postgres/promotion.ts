import { type Lsn, parseLsn } from '../replication/lsn.ts'
import type { Server } from './server.ts'
import type { Part } from './settings.ts'
import { waitFor } from './wait.ts'

export interface PromotionStep {
  readonly step: string
  /** ms after the promotion was asked for. */
  readonly atMs: number
  readonly tookMs: number
}

/**
 * Makes a standby the primary; 20 to 40 ms, most of it the first log segment of the new timeline.
 * Settings and promotion go out together: the postmaster takes SIGHUP before SIGUSR1 when both are pending (signal(7)), so
 * no session of the new primary can see the old epoch. `pg_promote(true)` and `pg_ctl` look every 100 ms, so we look ourselves,
 * on a session that is open already.
 */
export async function promote(server: Server, part: Extract<Part, { kind: 'primary' }>, signal: AbortSignal): Promise<readonly PromotionStep[]> {
  const begun = performance.now()
  const steps: PromotionStep[] = []
  let last = begun
  const done = (step: string): void => {
    const now = performance.now()
    steps.push({ step, atMs: round(last - begun), tookMs: round(now - last) })
    last = now
  }
  server.apply(part)
  done('settings written')
  await server.control.query('select pg_promote(false)')
  done('promotion requested')
  await waitFor(
    async () => !(await server.control.query<{ recovering: boolean }>('select pg_is_in_recovery() as recovering', { timeoutMs: 10_000 }))[0]!.recovering,
    {
      timeoutMs: 60_000,
      signal,
      what: 'the promotion',
    },
  )
  done('promoted')
  return steps
}

/** Where the timeline of a primary begins; 0/0 on the first. */
export async function beginningOfLog(server: Server): Promise<Lsn> {
  const rows = await server.control.query<{ history: string | null }>(
    `select pg_read_file('pg_wal/' || substring(pg_walfile_name(pg_current_wal_lsn()) for 8) || '.history', 0, 1000000, true) as history`,
  )
  const lines = (rows[0]?.history ?? '').split('\n').filter((line) => /^\d+\t/.test(line))
  return parseLsn(lines.at(-1)?.split('\t')[1] ?? '0/0')
}

const round = (ms: number): number => Math.round(ms * 10) / 10
