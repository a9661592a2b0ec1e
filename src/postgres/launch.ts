import { existsSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { HandoffError } from '../errors.ts'
import { checkVersion, readControlData } from './control-data.ts'
import { type Layout, makeLayout, readIfThere, writeOwnFile } from './layout.ts'
import { boundLog } from '../host/bounded-log.ts'
import { isRunning, type ProcessId, signalProcess } from '../host/processes.ts'
import { processesOf, readPidFile, startPostmaster } from './postmaster.ts'
import { lastLines } from './program.ts'
import { Server, type ServerContext, writePart } from './server.ts'
import { type Part, withoutManaged } from './settings.ts'
import { waitFor } from './wait.ts'

export interface LaunchOptions {
  readonly binDirectory: string
  /** What the cluster database says this storage group's system identifier is; null when it does not say. */
  readonly expectedSystemId: string | null
  readonly signal: AbortSignal
  readonly readyTimeoutMs: number
  /** Called as soon as the process exists, so that it can be stopped while it starts. */
  readonly onStarted: (server: Server) => void
}

/** Starts the postmaster with the settings of a part and waits until it takes sessions. */
export async function launch(context: ServerContext, part: Part, options: LaunchOptions): Promise<Server> {
  const { layout, user, settings } = context
  await checkVersion(options.binDirectory, layout.data, user)
  await refuseForeign(context, options)
  await endProcesses(layout.data, 5000)
  await refuseUsedPort(settings.listen, settings.port)
  options.signal.throwIfAborted()
  makeLayout(layout, user)
  removeStaleLocks(layout, settings.port)
  writePart(context, part)
  keepManagedSettings(layout, context)
  await boundLog(layout.logFile)
  const logStart = existsSync(layout.logFile) ? statSync(layout.logFile).size : 0
  const args = ['-D', layout.data, '-c', `config_file=${layout.configFile}`, '-c', `hba_file=${layout.hbaFile}`, '-c', `ident_file=${layout.identFile}`]
  const started = startPostmaster({ program: join(options.binDirectory, 'postgres'), args, user, logFile: layout.logFile })
  if (started instanceof Error) throw new HandoffError('POSTGRES_START_FAILED', started.message, { cause: started })
  writeOwnFile(layout.factsFile, `${JSON.stringify({ pid: started.pid, startTicks: started.startTicks, startedAt: new Date().toISOString() })}\n`, user)
  const server = new Server(context, started, started.exited)
  options.onStarted(server)
  const whatItSaid = (): string => lastLines(readFileSync(layout.logFile).subarray(logStart).toString('utf8'), 6)
  try {
    await waitFor(
      () => {
        if (!isRunning(started)) throw startFailure(context, whatItSaid())
        const found = readPidFile(layout.data)
        return found?.pid === started.pid && found.status === 'ready'
      },
      { timeoutMs: options.readyTimeoutMs, everyMs: 2, signal: options.signal, what: `PostgreSQL of ${settings.group} to become ready` },
    )
    await server.openSessions()
    return server
  } catch (error) {
    server.close()
    await endProcesses(layout.data, 5000, started)
    if (error instanceof HandoffError && error.code !== 'POSTGRES_TIMEOUT') throw error
    if (options.signal.aborted) throw error
    throw new HandoffError(
      'POSTGRES_START_FAILED',
      `PostgreSQL of ${settings.group} did not become ready: ${(error as Error).message}; its log ends: ${whatItSaid()}`,
      { cause: error },
    )
  }
}

/** Kills whatever runs in a data directory, orphans included, and waits until nothing is left. */
export async function endProcesses(data: string, timeoutMs: number, postmaster?: ProcessId): Promise<void> {
  if (postmaster !== undefined) signalProcess(postmaster, 'SIGKILL')
  await waitFor(
    () => {
      const left = processesOf(data)
      for (const process of left) signalProcess(process, 'SIGKILL')
      return left.length === 0 && (postmaster === undefined || !isRunning(postmaster))
    },
    { timeoutMs, everyMs: 2, what: `the processes of "${data}" to end after SIGKILL; one may hang in the kernel on a disk that does not answer` },
  )
}

async function refuseForeign(context: ServerContext, options: LaunchOptions): Promise<void> {
  if (options.expectedSystemId === null) return
  const { layout, user, settings } = context
  const found = (await readControlData(options.binDirectory, layout.data, user)).systemId
  if (found === options.expectedSystemId) return
  throw new HandoffError(
    'POSTGRES_FOREIGN_DATA',
    `${settings.node} refused: its data directory "${layout.data}" holds another cluster's storage group (id ${found}, wanted ${options.expectedSystemId})`,
    { remedy: `Move "${layout.data}" away, or correct dataDirectory; the copy is then seeded anew.` },
  )
}

/** @throws HandoffError POSTGRES_PORT_IN_USE, before PostgreSQL is started: its own message is only in a log */
export async function refuseUsedPort(listen: readonly string[], port: number): Promise<void> {
  for (const host of listen.map((address) => (address === '*' ? '0.0.0.0' : address))) {
    const code = await new Promise<string | null>((resolve) => {
      const server = createServer()
      server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'error'))
      server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(null)))
    })
    if (code === 'EADDRINUSE') throw new HandoffError('POSTGRES_PORT_IN_USE', `cannot start PostgreSQL on ${host} port ${port}: another process listens there`)
  }
}

export function startFailure(context: ServerContext, said: string): HandoffError {
  const { settings, layout } = context
  if (/No space left on device/.test(said))
    return new HandoffError('POSTGRES_DISK_FULL', `PostgreSQL of ${settings.group} could not start in "${layout.data}": no space left on its volume: ${said}`)
  return new HandoffError('POSTGRES_START_FAILED', `PostgreSQL of ${settings.group} ended while starting: ${said}`)
}

/** Nothing runs in the directory (that has been made sure of), so lock files are left-overs; a reused process number would make them block a start. */
function removeStaleLocks(layout: Layout, port: number): void {
  for (const file of [
    join(layout.data, 'postmaster.pid'),
    join(layout.socketDirectory, `.s.PGSQL.${port}`),
    join(layout.socketDirectory, `.s.PGSQL.${port}.lock`),
  ])
    rmSync(file, { force: true })
}

/** `postgresql.auto.conf` is the one settings file that PostgreSQL takes from the data directory whatever we say. */
function keepManagedSettings(layout: Layout, context: ServerContext): void {
  const file = join(layout.data, 'postgresql.auto.conf')
  const text = readIfThere(file)
  if (text === null) return
  const kept = withoutManaged(text)
  if (kept !== text) writeOwnFile(file, kept, context.user)
}
