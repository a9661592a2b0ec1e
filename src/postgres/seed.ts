import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { HandoffError } from '../errors.ts'
import { checkVersion, readControlData } from './control-data.ts'
import { makeLayout, makeOwnDirectory, writeOwnFile } from './layout.ts'
import { endProcesses } from './launch.ts'
import { runProgram } from './program.ts'
import type { ServerContext } from './server.ts'
import { connectionString, slotName, type Upstream } from './settings.ts'
import { ensureSlotOn } from './slots.ts'
import { withUpstream } from './upstream.ts'

export interface SeedProgress {
  readonly doneBytes: number
  /** What the other side estimated at the beginning. */
  readonly totalBytes: number
}

export interface SeedOptions {
  readonly binDirectory: string
  readonly upstream: Upstream
  readonly expectedSystemId: string | null
  readonly signal: AbortSignal
  readonly onProgress?: ((progress: SeedProgress) => void) | undefined
}

/**
 * Brings a whole copy from the active one. What exists stays until the new one is whole, unless there is no room for both.
 * Interrupted, it is begun again: a base backup cannot be taken up in the middle.
 */
export async function seedData(context: ServerContext, options: SeedOptions): Promise<void> {
  const { layout, settings, user } = context
  await checkVersion(options.binDirectory, layout.directory, user)
  makeLayout(layout, user)
  rmSync(layout.unfinishedData, { recursive: true, force: true })
  const bytes = await withUpstream(settings, options.upstream, options.signal, async (client) => {
    if (!(await ensureSlotOn(client, settings.node)))
      throw new HandoffError('POSTGRES_UPSTREAM_UNREACHABLE', `the copy of ${settings.group} on ${options.upstream.node} is not active yet`)
    const { rows } = await client.query<{ bytes: string }>('select coalesce(sum(pg_tablespace_size(oid)), 0)::text as bytes from pg_tablespace')
    return Number(rows[0]?.bytes ?? 0)
  })
  await makeRoom(context, bytes)
  makeOwnDirectory(layout.unfinishedData, user)
  await baseBackup(context, options)
  const { systemId } = await readControlData(options.binDirectory, layout.unfinishedData, user)
  if (options.expectedSystemId !== null && systemId !== options.expectedSystemId)
    throw new HandoffError(
      'POSTGRES_FOREIGN_DATA',
      `${options.upstream.node} at ${options.upstream.host} port ${options.upstream.port} serves another storage group (id ${systemId}, wanted ${options.expectedSystemId})`,
    )
  writeOwnFile(join(layout.unfinishedData, 'standby.signal'), '', user)
  options.signal.throwIfAborted()
  replaceData(context)
}

async function baseBackup(context: ServerContext, options: SeedOptions): Promise<void> {
  const { layout, settings, user } = context
  const connection = connectionString({ ...options.upstream, password: settings.replicatorPassword, name: 'pg_basebackup' })
  const args = [
    '-d',
    connection,
    '-D',
    layout.unfinishedData,
    '--checkpoint=fast',
    '--wal-method=stream',
    '--slot',
    slotName(settings.node),
    '--progress',
    '--no-password',
  ]
  // The walsender of a receiver that has just gone may hold the slot for a moment.
  for (let attempt = 1; ; attempt++) {
    try {
      await runProgram(join(options.binDirectory, 'pg_basebackup'), args, {
        user,
        timeoutMs: 24 * 3600_000,
        signal: options.signal,
        onStderr: (text) => report(text, options),
      })
      return
    } catch (error) {
      const text = (error as Error).message
      if (/No space left on device/.test(text))
        throw new HandoffError('POSTGRES_DISK_FULL', `seeding ${settings.group}: no space left on the volume of "${layout.directory}"`, { cause: error })
      if (attempt >= 5 || !/is active for PID/.test(text) || options.signal.aborted) throw error
      rmSync(layout.unfinishedData, { recursive: true, force: true })
      makeOwnDirectory(layout.unfinishedData, user)
      await new Promise((resolve) => setTimeout(resolve, 500))
    }
  }
}

/** "12345/67890 kB (18%), 0/1 tablespace" */
function report(text: string, options: SeedOptions): void {
  const match = [...text.matchAll(/(\d+)\/(\d+) kB/g)].at(-1)
  if (match !== undefined) options.onProgress?.({ doneBytes: Number(match[1]) * 1024, totalBytes: Number(match[2]) * 1024 })
}

async function makeRoom(context: ServerContext, neededBytes: number): Promise<void> {
  const { layout, settings } = context
  const room = async (): Promise<number> => statfs(layout.directory).then((found) => found.bavail * found.bsize)
  const wanted = neededBytes * 1.05 + 64 * 1024 * 1024
  if ((await room()) >= wanted) return
  if (existsSync(layout.data)) {
    await endProcesses(layout.data, 5000)
    writeFileSync(layout.unfinishedMark, 'being deleted to make room for a new seed\n')
    rmSync(layout.data, { recursive: true, force: true })
  }
  const found = await room()
  if (found < wanted)
    throw new HandoffError(
      'POSTGRES_DISK_FULL',
      `seeding ${settings.group} needs ${Math.ceil(wanted / 1024 / 1024)} MB on the volume of "${layout.directory}", ${Math.floor(found / 1024 / 1024)} MB are free`,
    )
}

function replaceData(context: ServerContext): void {
  const { layout } = context
  rmSync(layout.replacedData, { recursive: true, force: true })
  if (existsSync(layout.data)) renameSync(layout.data, layout.replacedData)
  renameSync(layout.unfinishedData, layout.data)
  rmSync(layout.unfinishedMark, { force: true })
  rmSync(layout.replacedData, { recursive: true, force: true })
}
