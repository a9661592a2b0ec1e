import { createServer, type Server } from 'node:net'
import type { Socket } from 'node:net'
import type { Logger } from 'pino'
import { addressesOf, type ListenerProtocol, listenerProtocols, type MountsMessage } from '../../mount/mounts.ts'

export interface Door {
  readonly server: string
  readonly protocol: ListenerProtocol
  readonly address: string
  readonly port: number
}

export interface DoorHealth extends Door {
  readonly listening: boolean
  readonly error?: string
}

interface OpenDoor {
  readonly door: Door
  readonly listener: Server
  boundPort: number | undefined
  error: string | undefined
  retry: NodeJS.Timeout | undefined
}

/** A virtual address reaches its interface some milliseconds after the order to serve; a port may still be in another's hands. */
const retryMs = { first: 3, factor: 1.5, max: 200 } as const

/**
 * The listening sockets of the servers that this node serves. They are in the primary process: opening them is one `bind` and
 * `listen` each, and nothing about the workers changes.
 */
export class Doors {
  readonly #log: Logger
  readonly #accept: (socket: Socket, door: Door) => void
  readonly #closed: (server: string) => void
  readonly #open = new Map<string, OpenDoor>()

  constructor(options: { readonly log: Logger; readonly accept: (socket: Socket, door: Door) => void; readonly closed: (server: string) => void }) {
    this.#log = options.log
    this.#accept = options.accept
    this.#closed = options.closed
  }

  /** Opens and closes so that exactly the doors of the servers that are served here are open. */
  setMounts(mounts: MountsMessage): void {
    const wanted = new Map(wantedDoors(mounts).map((door) => [keyOf(door), door]))
    const closing = new Set<string>()
    for (const [key, open] of this.#open) {
      if (wanted.has(key)) continue
      this.#shut(key, open)
      closing.add(open.door.server)
    }
    for (const [key, door] of wanted) if (!this.#open.has(key)) this.#openDoor(key, door)
    const servers = new Set([...wanted.values()].map((door) => door.server))
    for (const server of closing) if (!servers.has(server)) this.#closed(server)
  }

  health(): readonly DoorHealth[] {
    return [...this.#open.values()].map(({ door, boundPort, error }) => ({
      ...door,
      port: boundPort ?? door.port,
      listening: boundPort !== undefined,
      ...(error === undefined ? {} : { error }),
    }))
  }

  closeAll(): void {
    for (const [key, open] of this.#open) this.#shut(key, open)
  }

  #openDoor(key: string, door: Door): void {
    // The connection is read by a worker: the primary must not take a byte of it.
    const listener = createServer({ pauseOnConnect: true, noDelay: true }, (socket) => this.#accept(socket, door))
    const open: OpenDoor = { door, listener, boundPort: undefined, error: undefined, retry: undefined }
    this.#open.set(key, open)
    let waitMs: number = retryMs.first
    listener.on('listening', () => {
      const at = listener.address()
      open.boundPort = at !== null && typeof at === 'object' ? at.port : door.port
      open.error = undefined
      this.#log.info({ ...door, port: open.boundPort }, 'listening')
    })
    listener.on('error', (err: NodeJS.ErrnoException) => {
      if (this.#open.get(key) !== open) return
      // Not yet there is expected; said once, and again only when the reason changes.
      if (open.error !== err.code) this.#log.warn({ ...door, code: err.code }, 'cannot listen yet, trying on')
      open.error = err.code ?? err.message
      open.retry = setTimeout(listen, waitMs)
      waitMs = Math.min(retryMs.max, waitMs * retryMs.factor)
    })
    const listen = () => listener.listen({ host: door.address, port: door.port, backlog: 1024 })
    listen()
  }

  #shut(key: string, open: OpenDoor): void {
    this.#open.delete(key)
    clearTimeout(open.retry)
    open.listener.close(() => {})
    if (open.boundPort !== undefined) this.#log.info({ ...open.door, port: open.boundPort }, 'no longer listening')
  }
}

function wantedDoors(mounts: MountsMessage): Door[] {
  return mounts.servers
    .filter((server) => server.serving)
    .flatMap((server) =>
      addressesOf(server).flatMap((address) =>
        listenerProtocols.flatMap((protocol) => {
          const port = server.ports[protocol]
          return port === undefined ? [] : [{ server: server.name, protocol, address, port }]
        }),
      ),
    )
}

function keyOf(door: Door): string {
  return `${door.server}/${door.protocol}/${door.address}/${door.port}`
}
