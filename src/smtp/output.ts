import type { Duplex } from 'node:stream'
import { formatReply, type Reply } from './reply.ts'

const gatheredMax = 16 * 1024

/**
 * Replies on their way to the client. Those that are given in one turn leave as one packet (RFC 2920 §3.2); the commands of a client that
 * does not read them are not carried out.
 */
export class Output {
  #socket: Duplex
  #gathered = ''
  #scheduled = false
  readonly #stalledMs: number

  constructor(socket: Duplex, options: { readonly stalledMs: number }) {
    this.#socket = socket
    this.#stalledMs = options.stalledMs
  }

  /** After STARTTLS. */
  replaceSocket(socket: Duplex): void {
    this.#socket = socket
  }

  say(reply: Reply): void {
    this.#gathered += formatReply(reply)
    if (this.#gathered.length >= gatheredMax) this.send()
    else if (!this.#scheduled) {
      this.#scheduled = true
      setImmediate(() => {
        this.#scheduled = false
        this.send()
      })
    }
  }

  /** Hands what is gathered to the socket. */
  send(): void {
    if (this.#gathered === '') return
    const text = this.#gathered
    this.#gathered = ''
    if (!this.#socket.destroyed && !this.#socket.writableEnded) this.#socket.write(text)
  }

  /** Resolves when the client has taken enough of what was said, or is gone; a client that takes nothing is cut off. */
  async ready(): Promise<void> {
    const socket = this.#socket
    if (!socket.writableNeedDrain || socket.destroyed) return
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer)
        socket.off('drain', done)
        socket.off('close', done)
        resolve()
      }
      const timer = setTimeout(() => socket.destroy(), this.#stalledMs)
      socket.on('drain', done)
      socket.on('close', done)
    })
  }

  /** Resolves when everything has left; before TLS takes the connection over. */
  async written(): Promise<void> {
    this.send()
    const socket = this.#socket
    if (socket.destroyed || socket.writableEnded) return
    await new Promise<void>((resolve) => socket.write('', () => resolve()))
  }
}
