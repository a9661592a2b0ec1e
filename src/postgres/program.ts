import { spawn } from 'node:child_process'
import { HandoffError } from '../errors.ts'
import { asUser, type OsUser } from './os-user.ts'

export interface ProgramOptions {
  readonly user: OsUser
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
  readonly input?: string
  readonly env?: Readonly<Record<string, string>>
  /** Called with each piece of standard error as it comes: progress reports go there. */
  readonly onStderr?: (text: string) => void
  /** Do not fail on an exit status other than 0. */
  readonly tolerant?: boolean
}

export interface ProgramResult {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Output kept per stream: the end of it, where the reason of a failure is. */
const keptCharacters = 16 * 1024 * 1024

/**
 * Runs one of PostgreSQL's programs to its end, within a bounded time; killed when the signal aborts.
 * Messages are English (LC_ALL=C), because some are parsed.
 * @throws HandoffError POSTGRES_PROGRAM_FAILED with the last lines that it wrote
 */
export function runProgram(file: string, args: readonly string[], options: ProgramOptions): Promise<ProgramResult> {
  return new Promise((resolve, reject) => {
    const fail = (what: string, cause?: unknown): void => reject(new HandoffError('POSTGRES_PROGRAM_FAILED', `"${file}" ${what}`, { cause }))
    const signal =
      options.signal === undefined ? AbortSignal.timeout(options.timeoutMs) : AbortSignal.any([options.signal, AbortSignal.timeout(options.timeoutMs)])
    if (signal.aborted) return fail('was not started: cancelled')
    const child = spawn(file, args, {
      ...asUser(options.user),
      cwd: '/',
      env: { PATH: process.env['PATH'], TZ: 'UTC', ...options.env, LC_ALL: 'C' },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    let stdout = ''
    let stderr = ''
    const abort = (): void => void child.kill('SIGKILL')
    signal.addEventListener('abort', abort, { once: true })
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout = (stdout + text).slice(-keptCharacters)))
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-keptCharacters)
      options.onStderr?.(text)
    })
    child.stdin.on('error', () => {}) // a program that ends without reading its input
    child.stdin.end(options.input ?? '')
    child.on('error', (cause) => {
      signal.removeEventListener('abort', abort)
      fail(`could not be started: ${cause.message}`, cause)
    })
    child.on('close', (status) => {
      signal.removeEventListener('abort', abort)
      if (signal.aborted) return fail(options.signal?.aborted === true ? 'was cancelled' : `did not end within ${options.timeoutMs} ms`)
      if (status !== 0 && options.tolerant !== true) return fail(`ended with status ${status}: ${lastLines(stderr || stdout, 6)}`)
      resolve({ status, stdout, stderr })
    })
  })
}

export function lastLines(text: string, count: number): string {
  const lines = text.split(/[\r\n]+/).filter((line) => line.trim() !== '')
  return lines.slice(-count).join(' | ')
}
