import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { HandoffError } from '../errors.ts'
import { runProgram } from './program.ts'
import type { Server, ServerContext } from './server.ts'

export type Verdict = { readonly alive: true } | { readonly alive: false; readonly why: string }

/**
 * Writes a small file durably to each volume of a copy, drops it from the page cache and reads it back. In a process of its own:
 * a disk that hangs takes that one, and not a thread of the cluster service. Names that begin with `pgsql_tmp` are left out by
 * pg_basebackup and pg_rewind.
 */
export async function probe(context: ServerContext, server: Server | null, timeoutMs: number): Promise<Verdict> {
  const { layout, user } = context
  if (!existsSync(layout.data)) return { alive: true }
  const word = String(Date.now())
  const volumes = [layout.data, join(layout.data, 'pg_wal')]
  try {
    const script =
      'word=$1; shift; for f; do printf %s "$word" | dd of="$f" conv=fsync status=none && dd if="$f" iflag=nocache count=0 status=none && [ "$(cat "$f")" = "$word" ] && rm "$f" || { echo "$f" >&2; exit 1; }; done'
    const write = runProgram('sh', ['-c', script, 'sh', word, ...volumes.map((directory) => join(directory, 'pgsql_tmp_handoff_probe'))], { user, timeoutMs })
    await Promise.all([write, server?.observer.query('select 1', { timeoutMs })])
    return { alive: true }
  } catch (error) {
    const failure = new HandoffError('POSTGRES_PROBE_FAILED', `probe of "${layout.data}" failed: ${(error as Error).message}`, { cause: error })
    return { alive: false, why: failure.message }
  }
}
