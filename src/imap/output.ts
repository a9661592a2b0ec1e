import type { Duplex } from 'node:stream'
import type { Piece } from './respond.ts'

/** Strings gather until there is this much, so that a thousand FETCH lines are not a thousand packets. */
const gatherBytes = 32 * 1024

/** The peer reads nothing for this long while we have something to say: it is gone, and what it holds here is let go. */
const stalledMs = 5 * 60_000

/** Responses on their way to the client: gathered, and no more of them than the client reads. */
export class Output {
  #socket: Duplex
  #gathered = ''
  #mustDrain = false
  #corked = false

  constructor(socket: Duplex) {
    this.#socket = socket
  }

  /** After STARTTLS. */
  replaceSocket(socket: Duplex): void {
    this.send()
    this.#socket = socket
  }

  /** One response, CRLF added. */
  line(text: string): void {
    this.write([text, '\r\n'])
  }

  write(pieces: readonly Piece[]): void {
    for (const piece of pieces) {
      if (typeof piece === 'string') this.#gathered += piece
      else {
        this.send()
        this.#put(piece)
      }
    }
    if (this.#gathered.length >= gatherBytes) this.send()
  }

  /** Hands what is gathered to the socket. */
  send(): void {
    if (this.#gathered === '') return
    const text = this.#gathered
    this.#gathered = ''
    this.#put(text)
  }

  /** Resolves when the socket can take more (or is gone). To be awaited between responses that may be long. */
  async ready(): Promise<void> {
    if (!this.#mustDrain || this.#socket.destroyed) return
    const socket = this.#socket
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer)
        socket.off('drain', done)
        socket.off('close', done)
        resolve()
      }
      const timer = setTimeout(() => {
        socket.destroy()
        done()
      }, stalledMs)
      socket.on('drain', done)
      socket.on('close', done)
    })
    this.#mustDrain = false
  }

  async flush(): Promise<void> {
    this.send()
    await this.ready()
  }

  /** Resolves when everything has left for the network; before another layer takes the connection over. */
  async written(): Promise<void> {
    this.send()
    const socket = this.#socket
    if (!socket.destroyed && !socket.writableEnded) await new Promise<void>((resolve) => socket.write('', () => resolve()))
  }

  #put(data: string | Buffer): void {
    if (this.#socket.destroyed || this.#socket.writableEnded) return
    this.#cork()
    if (!this.#socket.write(data)) this.#mustDrain = true
  }

  /** A literal and what stands around it leave as one packet. */
  #cork(): void {
    if (this.#corked) return
    const socket = this.#socket
    socket.cork()
    this.#corked = true
    process.nextTick(() => {
      this.#corked = false
      socket.uncork()
    })
  }
}
