import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { clientProgram } from './build.ts'
import { acknowledgements, steadySince } from './clients/checker.ts'
import { type MailRecord, now, readRecords, type SqlRecord } from './clients/records.ts'
import type { HostName } from './layout.ts'
import type { Rig } from './rig.ts'
import { until } from './wait.ts'

/** A client program at work in a host's network, and what it has written down so far. */
export class RigClient<T> {
  readonly file: string
  private readonly child: ChildProcess
  private complaint = ''

  constructor(child: ChildProcess, file: string) {
    this.child = child
    this.file = file
    child.stderr?.on('data', (chunk: Buffer) => {
      this.complaint += chunk.toString()
    })
  }

  records(): T[] {
    if (this.child.exitCode !== null && this.child.exitCode !== 0) throw new Error(`client ended with ${this.child.exitCode}: ${this.complaint}`)
    return readRecords<T>(this.file)
  }

  slowDown(): void {
    this.child.kill('SIGUSR2')
  }

  async stop(): Promise<T[]> {
    const ended = new Promise<void>((resolve) => {
      if (this.child.exitCode !== null || this.child.signalCode !== null) resolve()
      else this.child.once('exit', () => resolve())
    })
    this.child.kill('SIGTERM')
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 15_000)
    await ended
    clearTimeout(timer)
    return readRecords<T>(this.file)
  }
}

export type WriterOptions = {
  readonly writer: number
  readonly host: string
  readonly from?: HostName
  readonly intervalMs?: number
  readonly replyMs?: number
  readonly user?: string
  readonly database?: string
}

export async function startSqlWriter(rig: Rig, options: WriterOptions): Promise<RigClient<SqlRecord>> {
  const file = join(rig.directory('records'), `sql-${options.writer}.jsonl`)
  const flags = {
    host: options.host,
    writer: options.writer,
    intervalMs: options.intervalMs ?? 5,
    replyMs: options.replyMs ?? 400,
    user: options.user ?? 'postgres',
    database: options.database ?? 'postgres',
    out: file,
  }
  const program = await clientProgram('sql-writer')
  return new RigClient(rig.spawnInNetwork(options.from ?? 'client', [process.execPath, program, ...asFlags(flags)]), file)
}

export type MailOptions = {
  readonly run: string
  readonly host: string
  readonly user: string
  readonly password: string
  readonly sessions?: number
  readonly intervalMs?: number
}

export async function startMailClient(rig: Rig, options: MailOptions): Promise<RigClient<MailRecord>> {
  const file = join(rig.directory('records'), `mail-${options.run}.jsonl`)
  const program = await clientProgram('mail-client')
  return new RigClient(rig.spawnInNetwork('client', [process.execPath, program, ...asFlags({ ...options, out: file })]), file)
}

/** Waits until a writer has had at least `count` acknowledgements, and none late for `forMs`. @returns since when it has been steady */
export function untilSteady(
  client: RigClient<SqlRecord>,
  options: { readonly after?: number; readonly forMs: number; readonly timeoutMs: number; readonly gapMs?: number },
): Promise<number> {
  return until(
    'steady writes',
    () => {
      const since = steadySince(
        acknowledgements(client.records()).map((record) => record.at),
        now(),
        options.gapMs ?? 500,
      )
      return since !== undefined && now() - Math.max(since, options.after ?? 0) >= options.forMs ? since : undefined
    },
    { timeoutMs: options.timeoutMs, everyMs: 100 },
  )
}

function asFlags(values: Readonly<Record<string, string | number | undefined>>): string[] {
  return Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`, String(value)]))
}
