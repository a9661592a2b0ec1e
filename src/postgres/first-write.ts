import type { Server } from './server.ts'

/** Looked for less and less often: the answer is exact all the same. */
const lookEveryMs = { first: 100, factor: 1.2, max: 2000 } as const
const lookAheadMax = 1000

/** The next transaction number: whatever has a smaller one was there before. */
export async function nextTransaction(server: Server): Promise<bigint> {
  const rows = await server.control.query<{ next: string }>('select pg_snapshot_xmax(pg_current_snapshot())::text as next')
  return BigInt(rows[0]!.next)
}

/**
 * When the first write from this transaction number on was committed, as wall-clock ms of this node; null when none was in time.
 * From the log's own commit timestamps (`track_commit_timestamp`), so it is exact however late it is looked for.
 */
export async function firstWrite(server: Server, from: bigint, options: { readonly timeoutMs: number; readonly signal: AbortSignal }): Promise<number | null> {
  const until = performance.now() + options.timeoutMs
  let waitMs: number = lookEveryMs.first
  while (performance.now() < until && !options.signal.aborted) {
    const rows = await server.control.query<{ at: string | null }>(
      `select (extract(epoch from min(pg_xact_commit_timestamp((xid % 4294967296)::text::xid))) * 1000)::text as at
       from generate_series(${from}::bigint, least(pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 1, ${from + BigInt(lookAheadMax)}::bigint)) as xid`,
    )
    const at = rows[0]?.at ?? null
    if (at !== null) return Number(at)
    await new Promise((resolve) => setTimeout(resolve, waitMs))
    waitMs = Math.min(lookEveryMs.max, waitMs * lookEveryMs.factor)
  }
  return null
}
