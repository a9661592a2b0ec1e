import { request } from 'node:http'
import type { Problem } from '../admin/schemas.ts'
import { type ErrorCode, errorRegister, HandoffError } from '../errors.ts'

/** The admin API over the Unix socket of the local daemon. */
export interface ApiClient {
  get<T>(path: string): Promise<T>
  post<T>(path: string, body: unknown): Promise<T>
  delete<T>(path: string): Promise<T>
  /** Calls `onLine` with each event of a server-sent event stream until it ends or the signal is aborted. */
  follow(path: string, onData: (data: string) => void, signal: AbortSignal): Promise<void>
}

export function apiClient(socketPath: string, away: 'DAEMON_UNREACHABLE' | 'MAILBOX_SERVICE_UNREACHABLE' = 'DAEMON_UNREACHABLE'): ApiClient {
  const call = <T>(method: string, path: string, body?: unknown): Promise<T> =>
    new Promise((resolve, reject) => {
      const payload = body === undefined ? undefined : JSON.stringify(body)
      const headers = payload === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }
      const outgoing = request({ socketPath, method, path: `/api/v1${path}`, headers }, (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString()
          if ((response.statusCode ?? 500) >= 400) reject(fromProblem(text))
          else resolve((text === '' ? null : JSON.parse(text)) as T)
        })
      })
      outgoing.on('error', (cause) => reject(new HandoffError(away, `no answer on "${socketPath}": ${cause.message}`, { cause })))
      outgoing.end(payload)
    })
  return {
    get: (path) => call('GET', path),
    post: (path, body) => call('POST', path, body),
    delete: (path) => call('DELETE', path),
    follow: (path, onData, signal) => follow(socketPath, path, onData, signal, away),
  }
}

function follow(socketPath: string, path: string, onData: (data: string) => void, signal: AbortSignal, away: ErrorCode): Promise<void> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath, path: `/api/v1${path}`, headers: { accept: 'text/event-stream' }, signal }, (response) => {
      let rest = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        const lines = (rest + chunk).split('\n')
        rest = lines.pop() ?? ''
        for (const line of lines) if (line.startsWith('data: ')) onData(line.slice(6))
      })
      response.on('end', resolve)
      response.on('error', () => resolve())
    })
    outgoing.on('error', (cause) => (signal.aborted ? resolve() : reject(new HandoffError(away, `no answer on "${socketPath}": ${cause.message}`, { cause }))))
    outgoing.end()
  })
}

function fromProblem(text: string): Error {
  try {
    const problem = JSON.parse(text) as Problem
    if (problem.code in errorRegister) return new HandoffError(problem.code as ErrorCode, problem.detail, { remedy: problem.remedy })
    return new Error(`${problem.code}: ${problem.detail}`)
  } catch {
    return new Error(`the daemon answered with something that is not JSON: ${text.slice(0, 200)}`)
  }
}
