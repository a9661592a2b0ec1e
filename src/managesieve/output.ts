import type { Duplex } from 'node:stream'

/** Answers on their way to the client. Those given in one turn leave as one packet; the commands of a client that does not read them are not carried out. */
export class Output {
  #socket: Duplex
  #corked = false
  readonly #stalledMs: number

  constructor(socket: Duplex, options: { readonly stalledMs: number }) {
    this.#socket = socket
    this.#stalledMs = options.stalledMs
  }

  /** After STARTTLS. */
  replaceSocket(socket: Duplex): void {
    this.#socket = socket
    this.#corked = false
  }

  say(bytes: Buffer): void {
    const socket = this.#socket
    if (socket.destroyed || socket.writableEnded) return
    if (!this.#corked) {
      this.#corked = true
      socket.cork()
      setImmediate(() => {
        if (this.#socket === socket) this.#corked = false
        socket.uncork()
      })
    }
    socket.write(bytes)
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
    const socket = this.#socket
    if (socket.destroyed || socket.writableEnded) return
    await new Promise<void>((resolve) => socket.write('', () => resolve()))
  }
}
