import { connect, type Socket } from 'node:net'

/**
 * The simple query protocol over a plain socket (PostgreSQL manual, "Frontend/Backend Protocol"): nothing between the measured time
 * and the server, no pool, no retry, and a time limit on every step.
 */
export type Reply = { readonly rows: readonly (readonly (string | null)[])[]; readonly notice?: string }

export type Target = { readonly host: string; readonly port: number; readonly user: string; readonly database: string; readonly limitMs: number }

/** Resolves when the server is ready for a query. Rejects a server in recovery, as libpq's target_session_attrs=read-write does. */
export function openSession(target: Target): Promise<PostgresSession> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: target.host, port: target.port, noDelay: true })
    const session = new PostgresSession(socket)
    session
      .start(target)
      .then(() => resolve(session))
      .catch((error: unknown) => {
        socket.destroy()
        reject(error instanceof Error ? error : new Error(String(error)))
      })
  })
}

type Pending = { readonly resolve: (reply: Reply) => void; readonly reject: (error: Error) => void; readonly timer: NodeJS.Timeout }

export class PostgresSession {
  private readonly socket: Socket
  private buffer: Buffer = Buffer.alloc(0)
  private pending: Pending | undefined
  private rows: (string | null)[][] = []
  private failure: string | undefined
  private notice: string | undefined
  private ended: string | undefined

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk) => this.receive(chunk))
    socket.on('error', (error) => this.fail(error.message))
    socket.on('close', () => this.fail('connection closed'))
  }

  start(target: Target): Promise<Reply> {
    const done = this.expectReady(target.limitMs, 'connect')
    this.socket.once('connect', () => {
      const parameters = Buffer.from(`user\0${target.user}\0database\0${target.database}\0application_name\0rig-writer\0\0`)
      const head = Buffer.alloc(8)
      head.writeInt32BE(parameters.length + 8, 0)
      head.writeInt32BE(196608, 4) // protocol 3.0
      this.socket.write(Buffer.concat([head, parameters]))
    })
    return done
  }

  query(sql: string, limitMs: number): Promise<Reply> {
    const done = this.expectReady(limitMs, 'reply')
    const text = Buffer.from(`${sql}\0`)
    const head = Buffer.alloc(5)
    head.write('Q', 0, 'latin1')
    head.writeInt32BE(text.length + 4, 1)
    this.socket.write(Buffer.concat([head, text]))
    return done
  }

  close(): void {
    this.socket.destroy()
  }

  private expectReady(limitMs: number, what: string): Promise<Reply> {
    // Closed while nothing was asked: nobody will answer any more.
    if (this.socket.destroyed) return Promise.reject(new Error(this.failure ?? this.ended ?? 'connection closed'))
    this.rows = []
    this.failure = undefined
    this.notice = undefined
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.fail(`no ${what} within ${limitMs} ms`), limitMs)
      this.pending = { resolve, reject, timer }
    })
  }

  private fail(reason: string): void {
    const pending = this.pending
    this.pending = undefined
    this.ended ??= reason
    this.socket.destroy()
    if (pending === undefined) return
    clearTimeout(pending.timer)
    pending.reject(new Error(this.failure ?? reason))
  }

  private receive(chunk: Buffer): void {
    this.buffer = this.buffer.length === 0 ? chunk : Buffer.concat([this.buffer, chunk])
    for (;;) {
      if (this.buffer.length < 5) return
      const length = this.buffer.readInt32BE(1) + 1
      if (this.buffer.length < length) return
      const body = this.buffer.subarray(5, length)
      const type = String.fromCharCode(this.buffer[0] ?? 0)
      this.buffer = this.buffer.subarray(length)
      this.handle(type, body)
    }
  }

  private handle(type: string, body: Buffer): void {
    switch (type) {
      case 'R':
        if (body.readInt32BE(0) !== 0) this.fail('the server asks for a password')
        return
      case 'S': {
        const [name, value] = body.toString('utf8').split('\0')
        if ((name === 'in_hot_standby' || name === 'default_transaction_read_only') && value === 'on') this.fail('read-only')
        return
      }
      case 'D':
        this.rows.push(readRow(body))
        return
      case 'E':
        this.failure = readMessage(body)
        return
      case 'N':
        this.notice = readMessage(body)
        return
      case 'Z': {
        const pending = this.pending
        this.pending = undefined
        if (pending === undefined) return
        clearTimeout(pending.timer)
        if (this.failure !== undefined) pending.reject(new Error(this.failure))
        else pending.resolve({ rows: this.rows, ...(this.notice === undefined ? {} : { notice: this.notice }) })
        return
      }
    }
  }
}

function readRow(body: Buffer): (string | null)[] {
  const row: (string | null)[] = []
  let at = 2
  for (let column = 0; column < body.readInt16BE(0); column++) {
    const length = body.readInt32BE(at)
    at += 4
    row.push(length < 0 ? null : body.toString('utf8', at, at + length))
    at += Math.max(0, length)
  }
  return row
}

/** Code and message of an ErrorResponse or NoticeResponse. */
function readMessage(body: Buffer): string {
  const fields = new Map(
    body
      .toString('utf8')
      .split('\0')
      .filter((field) => field !== '')
      .map((field) => [field[0], field.slice(1)]),
  )
  return `${fields.get('C') ?? ''} ${fields.get('M') ?? ''}`
}
