import pg from 'pg'
import { HandoffError } from '../errors.ts'
import { handoffRole } from './settings.ts'

export interface SessionOptions {
  readonly socketDirectory: string
  readonly port: number
  readonly password: string
  readonly database?: string
  /** Shown in pg_stat_activity. All sessions of the cluster service begin with `handoffd`: the gate spares them. */
  readonly name: string
}

export const ownSessionPrefix = 'handoffd'

/**
 * A session of the cluster service with its own instance, over the Unix socket, kept open: opening one costs a fork and a
 * password check, too much in the middle of a promotion. Reconnects with the next query when it was lost.
 */
export class Session {
  private readonly options: SessionOptions
  private readonly onLost: () => void
  private client: pg.Client | null = null
  private connecting: Promise<pg.Client> | null = null
  private closed = false
  /** Settles when the query before has ended. */
  private turn: Promise<void> = Promise.resolve()

  constructor(options: SessionOptions, onLost: () => void = () => {}) {
    this.options = options
    this.onLost = onLost
  }

  get connected(): boolean {
    return this.client !== null
  }

  /** @throws HandoffError POSTGRES_TIMEOUT when no answer came in time; the session is then given up, and the next query opens a new one */
  async query<Row>(text: string, options: { readonly timeoutMs?: number; readonly values?: readonly unknown[] } = {}): Promise<Row[]> {
    const timeoutMs = options.timeoutMs ?? 5000
    let timer: NodeJS.Timeout | undefined
    const timeout = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new HandoffError('POSTGRES_TIMEOUT', `no answer within ${timeoutMs} ms to: ${text.trim().slice(0, 80)}`)), timeoutMs)
    })
    timeout.catch(() => {})
    // One after the other: node-postgres wants no query given to it while another runs.
    const before = this.turn
    let end = (): void => {}
    this.turn = new Promise((resolve) => {
      end = resolve
    })
    try {
      await Promise.race([before, timeout])
      const client = this.client ?? (await Promise.race([this.connect(), timeout]))
      const result = await Promise.race([options.values === undefined ? client.query(text) : client.query(text, [...options.values]), timeout])
      return result.rows as Row[]
    } catch (error) {
      if (error instanceof HandoffError && error.code === 'POSTGRES_TIMEOUT') this.drop()
      throw error
    } finally {
      clearTimeout(timer)
      end()
    }
  }

  connect(): Promise<pg.Client> {
    if (this.closed) return Promise.reject(new HandoffError('POSTGRES_NOT_RUNNING', 'the session with the instance was closed'))
    if (this.client !== null) return Promise.resolve(this.client)
    this.connecting ??= this.open().finally(() => {
      this.connecting = null
    })
    return this.connecting
  }

  close(): void {
    this.closed = true
    this.drop()
  }

  private async open(): Promise<pg.Client> {
    const client = newClient(this.options)
    const lost = (): void => {
      if (this.client !== client) return
      this.client = null
      this.onLost()
    }
    client.on('error', lost)
    client.on('end', lost)
    await client.connect()
    if (this.closed) {
      discard(client)
      throw new HandoffError('POSTGRES_NOT_RUNNING', 'the session with the instance was closed')
    }
    this.client = client
    return client
  }

  private drop(): void {
    const client = this.client
    this.client = null
    if (client !== null) discard(client)
  }
}

/** Runs something on a session of its own, closed afterwards: for what takes long and must not keep the warm ones busy. */
export async function withSession<T>(
  options: SessionOptions & { readonly synchronousCommit?: 'on' | 'local' },
  signal: AbortSignal | undefined,
  run: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = newClient(options)
  client.on('error', () => {})
  const abort = (): void => discard(client)
  signal?.throwIfAborted()
  signal?.addEventListener('abort', abort, { once: true })
  try {
    await client.connect()
    return await run(client)
  } finally {
    signal?.removeEventListener('abort', abort)
    await Promise.race([client.end().catch(() => {}), new Promise((resolve) => setTimeout(resolve, 200).unref())])
  }
}

function newClient(options: SessionOptions & { readonly synchronousCommit?: 'on' | 'local' }): pg.Client {
  return new pg.Client({
    host: options.socketDirectory,
    port: options.port,
    user: handoffRole,
    password: options.password,
    database: options.database ?? 'postgres',
    application_name: options.name,
    connectionTimeoutMillis: 3000,
    // Our own commits must not wait for a copy (we may be the ones to end that wait), and we write behind a closed gate.
    options: `-c synchronous_commit=${options.synchronousCommit ?? 'local'} -c default_transaction_read_only=off -c statement_timeout=0 -c idle_in_transaction_session_timeout=0`,
  })
}

/** Closes the socket without saying goodbye: the other side may not answer. */
function discard(client: pg.Client): void {
  client.on('error', () => {})
  ;(client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy()
}
