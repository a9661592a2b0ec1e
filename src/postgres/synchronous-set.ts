import { type Lsn, parseLsn } from '../replication/lsn.ts'
import type { Server } from './server.ts'
import { withSession } from './session.ts'
import { type NodeId, type Part, parseStandbyNames, renderStandbyNames } from './settings.ts'
import { pause, waitFor } from './wait.ts'

type PrimaryPart = Extract<Part, { kind: 'primary' }>

/** A name that no walreceiver has; it only moves the priorities of the others by one. */
const nobody = '-'

/**
 * Makes every commit wait for these copies, and proves that from the returned position on every commit does
 * (docs/design/architecture.md, "Synchronous set"). Who could let a commit go without them?
 * - A backend that believes that there is no synchronous set: it reads a flag that the checkpointer owns. A `CHECKPOINT` that was
 *   begun after the postmaster had signalled its children means that the checkpointer has been through its loop since.
 * - A walsender that releases waiting backends by an older list (src/backend/replication/syncrep.c). When it reads the settings it
 *   publishes its place in the list, `pg_stat_replication.sync_priority`. So the list is ordered such that the place of every
 *   member changes, and the new places are waited for.
 */
export async function growSynchronousSet(
  server: Server,
  part: PrimaryPart,
  nodes: readonly NodeId[],
  proven: readonly NodeId[],
  signal: AbortSignal,
  written: (part: PrimaryPart) => void,
): Promise<{ readonly since: Lsn }> {
  const current = parseStandbyNames(part.standbyNames)
  await prioritiesShown(server, current, signal)
  const target = order(current, nodes)
  const unchanged = proven.length === 0 || current.some((name, index) => target[index] === name)
  // A place that stays the same would prove nothing: take everybody one place further first.
  const steps =
    unchanged && current.length > 0
      ? [
          { names: [nobody, ...current], waitFor: current.length },
          { names: target, waitFor: target.length },
        ]
      : [{ names: target, waitFor: target.length }]
  for (const step of steps) {
    const next: PrimaryPart = { ...part, standbyNames: renderStandbyNames(step.names, step.waitFor) }
    written(next)
    server.apply(next)
    await server.reloaded({ synchronous_standby_names: next.standbyNames }, signal)
    await prioritiesShown(server, step.names, signal)
  }
  return { since: await checkpointed(server, signal) }
}

/** New members first, so that everybody who stays gets another place. */
export function order(current: readonly string[], wanted: readonly string[]): string[] {
  const staying = current.filter((name) => wanted.includes(name))
  return [...wanted.filter((name) => !current.includes(name)), ...staying]
}

/**
 * No longer waits for the others. Nothing has to be proven: an older list only waits for more. An empty list is noticed by the
 * checkpointer, which releases everybody; with some left, a walsender releases at the next answer of its standby, and those come
 * once a second when nothing is written. So answers are provoked.
 */
export function shrinkSynchronousSet(server: Server, part: PrimaryPart, nodes: readonly NodeId[]): PrimaryPart {
  const next = { ...part, standbyNames: renderStandbyNames(order(parseStandbyNames(part.standbyNames), nodes)) }
  server.apply(next)
  if (nodes.length > 0) void provokeAnswers(server)
  return next
}

/** Writes a little log while somebody waits. More than once: a walsender may answer the first before it has read the new list. */
async function provokeAnswers(server: Server): Promise<void> {
  const end = performance.now() + 1000
  while (performance.now() < end && server.running) {
    await server.control
      .query(
        `select pg_logical_emit_message(true, 'handoff', 'synchronous set changed') where exists (select from pg_stat_activity where wait_event = 'SyncRep')`,
      )
      .catch(() => {}) // the next round tries again, and so does whoever uses the session next
    await pause(10)
  }
}

/** A position at or after the end of every commit that may not have waited. */
export async function checkpointed(server: Server, signal: AbortSignal): Promise<Lsn> {
  return withSession(server.sessionOptions('checkpoint'), signal, async (client) => {
    await client.query('checkpoint')
    const { rows } = await client.query<{ position: string }>('select pg_current_wal_flush_lsn()::text as position')
    return parseLsn(rows[0]!.position)
  })
}

async function prioritiesShown(server: Server, names: readonly string[], signal: AbortSignal): Promise<void> {
  await waitFor(
    async () => {
      const rows = await server.control.query<{ name: string; priority: number }>(
        `select application_name as name, sync_priority as priority from pg_stat_replication where state = 'streaming' and flush_lsn is not null`,
      )
      return rows.every((row) => row.priority === names.indexOf(row.name) + 1)
    },
    { timeoutMs: 3000, everyMs: 2, signal, what: `the walsenders to take over the list (${names.join(', ')})` },
  )
}
