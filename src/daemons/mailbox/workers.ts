import cluster, { type Worker } from 'node:cluster'
import type { Socket } from 'node:net'
import type { Logger } from 'pino'
import type { ListenerProtocol, MountsMessage } from '../../mount/mounts.ts'
import { queued } from './mail-database.ts'
import type { FromWorker, ToWorker, WorkerStart } from './wire.ts'

interface Seat {
  readonly worker: Worker
  ready: boolean
  sessions: number
  /** Pings sent since the last answer. */
  unanswered: number
}

export interface WorkerHealth {
  readonly pid: number | undefined
  readonly ready: boolean
  readonly sessions: number
}

interface Destination {
  readonly server: string
  readonly protocol: ListenerProtocol
}

const waitingMax = 1000
const pingMs = 2000
const unansweredMax = 8

/**
 * The worker processes, all started ahead. Connections are accepted by the primary and handed over, so that a listener never moves:
 * starting to serve is one bind, and a worker that dies takes only its own sessions with it.
 */
export class Workers {
  readonly #log: Logger
  readonly #start: WorkerStart
  readonly #seats = new Map<number, Seat>()
  /** Connections that came while no worker was ready: they wait for the greeting a moment longer. */
  readonly #waiting: { readonly socket: Socket; readonly to: Destination }[] = []
  /** The one that sends what is queued. */
  #sending: Seat | undefined
  #mounts: MountsMessage
  #next = 0
  #closing = false
  #ping: NodeJS.Timeout | undefined

  constructor(options: { readonly exec: string; readonly start: WorkerStart; readonly mounts: MountsMessage; readonly log: Logger }) {
    this.#log = options.log
    this.#start = options.start
    this.#mounts = options.mounts
    cluster.setupPrimary({ exec: options.exec, args: [] })
  }

  open(): void {
    for (let i = 0; i < this.#start.options.workers; i++) this.#fork()
    this.#ping = setInterval(() => this.#pingAll(), pingMs)
    this.#ping.unref()
  }

  setMounts(mounts: MountsMessage): void {
    this.#mounts = mounts
    this.#toAll({ type: 'mounts', mounts })
  }

  /** Something may be due in the queue of this database. */
  poke(database: string): void {
    this.#toAll({ type: 'changed', change: { database, change: queued } })
  }

  drain(server: string): void {
    this.#toAll({ type: 'drain', server })
  }

  /** Gives an accepted connection to the next ready worker. */
  give(socket: Socket, to: Destination): void {
    const ready = [...this.#seats.values()].filter((seat) => seat.ready)
    const seat = ready[this.#next++ % Math.max(1, ready.length)]
    if (!seat) {
      if (this.#waiting.length >= waitingMax) socket.destroy()
      else this.#waiting.push({ socket, to })
      return
    }
    // The worker may die in this moment: its sockets close with it, and the client connects again.
    seat.worker.process.send({ type: 'connection', ...to } satisfies ToWorker, socket, { keepOpen: false }, (err) => {
      if (err) socket.destroy()
    })
  }

  health(): readonly WorkerHealth[] {
    return [...this.#seats.values()].map((seat) => ({ pid: seat.worker.process.pid, ready: seat.ready, sessions: seat.sessions }))
  }

  /** Workers end by themselves when they have drained; who has not after `graceMs` is killed. */
  async close(graceMs: number): Promise<void> {
    this.#closing = true
    clearInterval(this.#ping)
    const ends = [...this.#seats.values()].map(({ worker }) => new Promise<void>((resolve) => worker.once('exit', () => resolve())))
    for (const { worker } of this.#seats.values()) worker.process.kill('SIGTERM')
    const kill = setTimeout(() => {
      for (const { worker } of this.#seats.values()) worker.process.kill('SIGKILL')
    }, graceMs)
    await Promise.all(ends)
    clearTimeout(kill)
  }

  #fork(): void {
    const worker = cluster.fork()
    const seat: Seat = { worker, ready: false, sessions: 0, unanswered: 0 }
    this.#seats.set(worker.id, seat)
    worker.on('message', (message: FromWorker) => this.#receive(seat, message))
    worker.on('error', (err) => this.#log.error({ err, worker: worker.process.pid }, 'worker: error'))
    worker.once('exit', (code, signal) => {
      this.#seats.delete(worker.id)
      if (this.#closing) return
      if (this.#sending === seat) this.#sending = undefined
      this.#chooseSending()
      this.#log.error({ worker: worker.process.pid, code, signal }, 'worker: ended, replacing it')
      // One that cannot even start must not be forked in a tight loop.
      if (seat.ready) this.#fork()
      else
        setTimeout(() => {
          if (!this.#closing) this.#fork()
        }, 500)
    })
  }

  #receive(seat: Seat, message: FromWorker): void {
    switch (message.type) {
      // What is sent before the worker listens would be lost, so it speaks first.
      case 'hello':
        this.#send(seat, { type: 'start', start: this.#start })
        this.#send(seat, { type: 'mounts', mounts: this.#mounts })
        return
      case 'ready':
        seat.ready = true
        this.#chooseSending()
        for (const { socket, to } of this.#waiting.splice(0)) this.give(socket, to)
        this.#log.info({ worker: seat.worker.process.pid }, 'worker: ready')
        return
      case 'changed':
        for (const other of this.#seats.values()) if (other !== seat) this.#send(other, message)
        return
      case 'drained':
        this.#log.info({ worker: seat.worker.process.pid, server: message.server }, 'worker: drained')
        return
      case 'pong':
        seat.unanswered = 0
        seat.sessions = message.sessions
        return
    }
  }

  #chooseSending(): void {
    if (this.#sending) return
    this.#sending = [...this.#seats.values()].find((seat) => seat.ready)
    if (this.#sending) this.#send(this.#sending, { type: 'send' })
  }

  #pingAll(): void {
    for (const seat of this.#seats.values()) {
      if (seat.unanswered >= unansweredMax) {
        this.#log.error({ worker: seat.worker.process.pid, silentMs: unansweredMax * pingMs }, 'worker: hangs, killing it')
        seat.worker.process.kill('SIGKILL')
      }
      seat.unanswered++
      this.#send(seat, { type: 'ping', n: seat.unanswered })
    }
  }

  #toAll(message: ToWorker): void {
    for (const seat of this.#seats.values()) this.#send(seat, message)
  }

  #send(seat: Seat, message: ToWorker): void {
    seat.worker.process.send(message, () => {})
  }
}
