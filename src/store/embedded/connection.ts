import { connect, type Socket } from 'node:net'
import { monotonicMs } from '../../host/clock.ts'
import { type Address, lineSplitter, type Request, type ServerEvent, type ServerLine } from './protocol.ts'

/** Why a request has no reply. `sent`: the server may have it. */
export interface NoReply {
  readonly sent: boolean
  readonly why: string
}

export type Reply =
  | { readonly kind: 'result'; readonly result: unknown }
  | { readonly kind: 'error'; readonly code: 'STORE_LEASE_EXPIRED' | 'STORE_REFUSED'; readonly message: string }
  | ({ readonly kind: 'none' } & NoReply)

interface Pending {
  readonly settle: (reply: Reply) => void
  readonly timer: NodeJS.Timeout
}

/** One connection to the embedded store, from its making to its end; a new one takes its place. */
export class Connection {
  /** Settles when the connection has ended, or has never come about. */
  readonly ended: Promise<string>
  /** true when it is up, false when it could not be made. */
  readonly opened: Promise<boolean>
  private readonly socket: Socket
  private readonly pending = new Map<number, Pending>()
  private readonly watches = new Map<number, (event: ServerEvent) => void>()
  private lastHeardMs = monotonicMs()
  private lastId = 0
  private up = false

  constructor(address: Address, options: { readonly connectTimeoutMs: number }) {
    this.socket = connect(address)
    this.socket.setNoDelay(true)
    this.socket.setEncoding('utf8')
    let why = 'the connection ended'
    const tooLong = setTimeout(() => this.destroy(`no connection within ${options.connectTimeoutMs} ms`), options.connectTimeoutMs)
    this.opened = new Promise((resolve) => {
      this.socket.once('connect', () => {
        clearTimeout(tooLong)
        this.up = true
        resolve(true)
      })
      this.socket.once('close', () => resolve(false))
    })
    this.socket.on('error', (failure) => (why = failure.message))
    this.ended = new Promise((resolve) => {
      this.socket.once('close', () => {
        clearTimeout(tooLong)
        this.up = false
        resolve(why)
        for (const id of [...this.pending.keys()]) this.settle(id, { kind: 'none', sent: true, why })
      })
    })
    this.socket.on(
      'data',
      lineSplitter((line) => {
        let parsed: ServerLine
        try {
          parsed = JSON.parse(line) as ServerLine
        } catch {
          return this.destroy('what answers is not an embedded store')
        }
        this.receive(parsed)
      }),
    )
  }

  get usable(): boolean {
    return this.up && !this.socket.destroyed
  }

  get silentMs(): number {
    return monotonicMs() - this.lastHeardMs
  }

  /** Never rejects. */
  request(request: Request, timeoutMs: number): Promise<Reply> {
    if (!this.usable) return Promise.resolve({ kind: 'none', sent: false, why: 'not connected' })
    const id = ++this.lastId
    return new Promise((settle) => {
      const timer = setTimeout(() => this.settle(id, { kind: 'none', sent: true, why: `no reply within ${Math.round(timeoutMs)} ms` }), timeoutMs)
      this.pending.set(id, { settle, timer })
      this.socket.write(JSON.stringify({ id, ...request }) + '\n')
    })
  }

  /** Returns the id to end it by. Events come until this connection ends. */
  watch(prefix: string, from: number, listener: (event: ServerEvent) => void): number {
    const id = ++this.lastId
    this.watches.set(id, listener)
    this.socket.write(JSON.stringify({ id, op: 'watch', prefix, from } satisfies Request & { id: number }) + '\n')
    return id
  }

  unwatch(watch: number): void {
    this.watches.delete(watch)
    if (this.usable) this.socket.write(JSON.stringify({ id: ++this.lastId, op: 'unwatch', watch } satisfies Request & { id: number }) + '\n')
  }

  destroy(why: string): void {
    this.socket.destroy(new Error(why))
  }

  private receive(line: ServerLine): void {
    this.lastHeardMs = monotonicMs()
    if ('watch' in line) this.watches.get(line.watch)?.(line.event)
    else if ('error' in line) this.settle(line.id, { kind: 'error', ...line.error })
    else this.settle(line.id, { kind: 'result', result: line.result })
  }

  private settle(id: number, reply: Reply): void {
    const pending = this.pending.get(id)
    if (pending === undefined) return
    this.pending.delete(id)
    clearTimeout(pending.timer)
    pending.settle(reply)
  }
}
