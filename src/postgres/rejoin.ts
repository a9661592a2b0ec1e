import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { HandoffError } from '../errors.ts'
import { formatLsn, type Lsn, parseLsn } from '../replication/lsn.ts'
import { checkVersion } from './control-data.ts'
import { writeOwnFile } from './layout.ts'
import { beginningOfTimeline, type OwnLog, readOwnLog, saveTail, saveWholeLog } from './own-log.ts'
import { runProgram } from './program.ts'
import { type ServerContext, writePart } from './server.ts'
import { connectionString, type Upstream } from './settings.ts'
import { ensureSlotOn } from './slots.ts'
import { forkOf, parseHistory, type Timeline } from './timeline-history.ts'
import { withUpstream } from './upstream.ts'

/** How a copy came back, for the decision record. */
export interface Rejoined {
  readonly way: 'started' | 'rewound' | 'reseeded'
  readonly logEndLsn: string | null
  readonly forkLsn: string | null
  readonly divergentBytes: number
  readonly savedTo: string | null
}

export interface RejoinOptions {
  readonly binDirectory: string
  readonly upstream: Upstream
  readonly upstreamEpoch: number
  readonly signal: AbortSignal
  /** Replace the data directory by a whole new copy. */
  readonly seed: () => Promise<void>
  /** Start as standby, and see it follow on this timeline: a copy that cannot follow there may stream an older one for a moment. */
  readonly start: (timeline: number) => Promise<void>
  readonly stop: () => Promise<void>
  /** Told why a cheaper way was given up. */
  readonly onFallback: (why: string) => void
}

/**
 * The cheapest of three ways that is right: start (the log ends before the timelines part), rewind, seed anew. A way that fails
 * is followed by the next; an upstream that cannot be reached, or is not the active copy of this epoch, ends the attempt.
 */
export async function rejoinData(context: ServerContext, options: RejoinOptions): Promise<Rejoined> {
  const { layout, user } = context
  await checkVersion(options.binDirectory, layout.data, user)
  const other = await readUpstream(context, options)
  const timeline = other.line.at(-1)?.id ?? 1
  let own: OwnLog | null = null
  let fork: Lsn | null = null
  let savedTo: string | null = null
  let saving = false
  const outcome = (way: Rejoined['way']): Rejoined => ({
    way,
    logEndLsn: own === null ? null : formatLsn(own.endLsn),
    forkLsn: fork === null ? null : formatLsn(fork),
    divergentBytes: own === null || fork === null || own.endLsn <= fork ? 0 : Number(own.endLsn - fork),
    savedTo,
  })
  try {
    own = await readOwnLog(context, options.binDirectory, options.signal)
    if (own.control.systemId !== other.systemId) throw foreign(context, options, own.control.systemId, other.systemId)
    const shared = forkOf(own.line, other.line)
    const twin = shared?.timeline === own.timeline && !(await sameTimeline(context, options, own))
    // Two timelines of one number part where they begin; pg_rewind takes them for one, so it is no way back.
    const found = twin ? { timeline: own.timeline, lsn: own.line.at(-1)?.begin ?? null } : shared
    // On the timeline that the active copy writes now: it parts where that one ends, if it is ahead at all.
    fork = found === null ? null : (found.lsn ?? other.endLsn)
    if (fork !== null && own.endLsn <= fork) {
      writeOwnFile(join(layout.data, 'standby.signal'), '', user)
      await options.start(timeline)
      return outcome('started')
    }
    if (fork !== null) {
      saving = true
      savedTo = await saveTail(context, { ...options, own, fork, epoch: options.upstreamEpoch })
      saving = false
    }
    if (fork !== null && found?.lsn != null && !twin) {
      await rewind(context, options)
      await options.start(timeline)
      return outcome('rewound')
    }
  } catch (error) {
    options.signal.throwIfAborted()
    // What could not be saved is not deleted.
    if (saving) throw unsaved(context, error)
    if (error instanceof HandoffError && error.code === 'POSTGRES_FOREIGN_DATA') throw error
    if (error instanceof HandoffError && error.code === 'POSTGRES_PORT_IN_USE') throw error
    options.onFallback((error as Error).message)
    await options.stop()
    await readUpstream(context, options) // still there? If not, it is not this copy that is broken.
  }
  // Neither way told what this log has that the other has not: all of it is kept.
  if (savedTo === null) savedTo = await saveWholeLog(context, options.upstreamEpoch).catch((error: unknown) => Promise.reject(unsaved(context, error)))
  await options.seed()
  await options.start(timeline)
  return outcome('reseeded')
}

interface UpstreamLog {
  readonly systemId: string
  readonly line: readonly Timeline[]
  readonly endLsn: Lsn
}

async function readUpstream(context: ServerContext, options: RejoinOptions): Promise<UpstreamLog> {
  const { settings } = context
  const { upstream, signal } = options
  await withUpstream(settings, upstream, signal, async (client) => {
    const { rows } = await client.query<{ epoch: string | null }>(`select current_setting('handoff.epoch', true) as epoch`)
    if (rows[0]?.epoch !== String(options.upstreamEpoch) || !(await ensureSlotOn(client, settings.node)))
      throw new HandoffError(
        'POSTGRES_UPSTREAM_UNREACHABLE',
        `the copy of ${settings.group} on ${upstream.node} is not the active one of epoch ${options.upstreamEpoch} (it says ${rows[0]?.epoch ?? 'nothing'})`,
        {
          remedy: 'It may be about to be promoted; it is tried again by itself.',
        },
      )
  })
  return withUpstream(
    settings,
    upstream,
    signal,
    async (client) => {
      const system = (await client.query<{ systemid: string; timeline: number; xlogpos: string }>('IDENTIFY_SYSTEM')).rows[0]
      if (system === undefined) throw new HandoffError('POSTGRES_UPSTREAM_UNREACHABLE', `${upstream.node} does not say who it is`)
      const timeline = Number(system.timeline)
      const history = timeline === 1 ? '' : (await client.query<{ content: Buffer | string }>(`TIMELINE_HISTORY ${timeline}`)).rows[0]?.content.toString()
      return { systemId: system.systemid, line: parseHistory(timeline, history ?? ''), endLsn: parseLsn(system.xlogpos) }
    },
    true,
  )
}

/** Is the newest timeline here the one of that number there? Taken for granted when the other side has recycled its beginning. */
async function sameTimeline(context: ServerContext, options: RejoinOptions, own: OwnLog): Promise<boolean> {
  const piece = beginningOfTimeline(context.layout.data, own)
  if (piece === null) return true
  return withUpstream(context.settings, options.upstream, options.signal, async (client) => {
    const { rows } = await client.query<{ bytes: Buffer | null }>('select pg_read_binary_file($1, $2, $3, true) as bytes', [
      piece.file,
      piece.offset,
      piece.bytes.length,
    ])
    const there = rows[0]?.bytes ?? null
    return there === null || there.equals(piece.bytes)
  })
}

/**
 * pg_rewind first recovers the target in single-user mode, so that it is shut down cleanly; it cannot do that to a standby, hence without
 * the signal file. From its first write on, the data directory is good for nothing until it is done: the mark says so.
 */
async function rewind(context: ServerContext, options: RejoinOptions): Promise<void> {
  const { layout, settings, user } = context
  rmSync(join(layout.data, 'standby.signal'), { force: true })
  rmSync(join(layout.data, 'postmaster.pid'), { force: true })
  writePart(context, { kind: 'primary', epoch: 0, gate: 'closed', standbyNames: '' })
  writeFileSync(layout.unfinishedMark, `pg_rewind from ${options.upstream.node}, epoch ${options.upstreamEpoch}\n`)
  const source = connectionString({ ...options.upstream, password: settings.replicatorPassword, name: `rewind ${settings.node}`, database: 'postgres' })
  await runProgram(join(options.binDirectory, 'pg_rewind'), ['-D', layout.data, `--source-server=${source}`, `--config-file=${layout.configFile}`], {
    user,
    timeoutMs: 6 * 3600_000,
    signal: options.signal,
  })
  writeOwnFile(join(layout.data, 'standby.signal'), '', user)
  rmSync(layout.unfinishedMark, { force: true })
}

function unsaved(context: ServerContext, cause: unknown): HandoffError {
  const full = /ENOSPC|No space left/.test(String((cause as Error).message))
  return new HandoffError(
    full ? 'POSTGRES_DISK_FULL' : 'POSTGRES_PROGRAM_FAILED',
    `the divergent log of ${context.settings.group} cannot be saved to "${context.layout.divergent}": ${(cause as Error).message}`,
    { cause, remedy: 'Make room there; nothing is deleted before it is saved. It is tried again by itself.' },
  )
}

const foreign = (context: ServerContext, options: RejoinOptions, found: string, wanted: string): HandoffError =>
  new HandoffError(
    'POSTGRES_FOREIGN_DATA',
    `${context.settings.node} refused: its data directory "${context.layout.data}" holds another cluster's storage group (id ${found}, ${options.upstream.node} has ${wanted})`,
    { remedy: `Move "${context.layout.data}" away, or correct dataDirectory; the copy is then seeded anew.` },
  )
