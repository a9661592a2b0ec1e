import { connect, type Socket } from 'node:net'
import type { Logger } from 'pino'
import { type MountsMessage, mountsMessage } from '../../mount/mounts.ts'

const retryMs = 50
const lineBytesMax = 4 * 1024 * 1024

/** The line to handoffd. When it breaks the last mounts stay in force: a restart of the cluster service must not be felt. */
export class MountsLink {
  readonly #path: string
  readonly #log: Logger
  readonly #receive: (mounts: MountsMessage) => void
  #socket: Socket | undefined
  #retry: NodeJS.Timeout | undefined
  #connected = false
  #closed = false

  constructor(options: { readonly path: string; readonly log: Logger; readonly receive: (mounts: MountsMessage) => void }) {
    this.#path = options.path
    this.#log = options.log
    this.#receive = options.receive
  }

  get connected(): boolean {
    return this.#connected
  }

  open(): void {
    const socket = connect(this.#path)
    this.#socket = socket
    let buffered = ''
    socket.setEncoding('utf8')
    socket.on('connect', () => this.#setConnected(true))
    socket.on('data', (chunk: string) => {
      buffered += chunk
      const lines = buffered.split('\n')
      buffered = lines.pop() ?? ''
      if (buffered.length > lineBytesMax) socket.destroy(new Error('mounts line too long'))
      // Each line is the full state, so only the last one of a burst matters.
      const last = lines.filter((line) => line.trim() !== '').at(-1)
      if (last !== undefined) this.#read(last)
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      this.#setConnected(false)
      if (!this.#closed) this.#retry = setTimeout(() => this.open(), retryMs)
    })
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#retry)
    this.#socket?.destroy()
  }

  #read(line: string): void {
    try {
      this.#receive(mountsMessage.parse(JSON.parse(line)))
    } catch (err) {
      // An older or newer handoffd: better to go on with what was understood last than to stop serving.
      this.#log.error({ err }, 'mounts: message not understood, keeping the last one')
    }
  }

  #setConnected(connected: boolean): void {
    if (this.#connected === connected) return
    this.#connected = connected
    this.#log.info({ path: this.#path, connected }, connected ? 'mounts: connected to handoffd' : 'mounts: handoffd is away, keeping the last state')
  }
}
