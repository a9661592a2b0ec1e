import { rmSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { HandoffError } from '../../errors.ts'
import { Engine, type EngineOptions, type EngineWatch } from './engine.ts'
import { contactMs, lineSplitter, parseAddress, type Request, type ServerLine } from './protocol.ts'

export interface EmbeddedServerOptions extends EngineOptions {
  /** `host:port` (port 0: any free one) or the path of a Unix socket. */
  readonly listen: string
}

/** Output that a client may leave unread before it is cut off; it then resumes its watches. */
const unreadBytesMax = 32 * 1024 * 1024

/**
 * The embedded store: one process holds the database of a cluster that lives on one machine. No consensus, and none claimed: while
 * this process is away the store is away, as etcd is without a majority.
 */
export class EmbeddedServer {
  /** What clients connect to. */
  readonly endpoint: string
  /** Settles when the disk failed; the server has then stopped answering. */
  readonly failed: Promise<Error>
  private readonly engine: Engine
  private readonly server: Server
  private readonly sockets: Set<Socket>

  private constructor(engine: Engine, server: Server, sockets: Set<Socket>, endpoint: string) {
    this.engine = engine
    this.server = server
    this.sockets = sockets
    this.endpoint = endpoint
    this.failed = engine.failed
    engine.failed.then(() => this.cut()).catch(() => {})
  }

  /** @throws HandoffError STORE_ADDRESS_IN_USE, STORE_ADDRESS_UNUSABLE, STORE_DIRECTORY_IN_USE, STORE_DAMAGED */
  static async open(options: EmbeddedServerOptions): Promise<EmbeddedServer> {
    const engine = await Engine.open(options)
    try {
      const sockets = new Set<Socket>()
      const server = createServer((socket) => {
        sockets.add(socket)
        socket.once('close', () => sockets.delete(socket))
        serve(engine, socket)
      })
      await listen(server, options.listen)
      const address = server.address() as AddressInfo | string
      const endpoint =
        typeof address === 'string' ? address : address.family === 'IPv6' ? `[${address.address}]:${address.port}` : `${address.address}:${address.port}`
      return new EmbeddedServer(engine, server, sockets, endpoint)
    } catch (failure) {
      await engine.close()
      throw failure
    }
  }

  async close(): Promise<void> {
    this.cut()
    await this.engine.close()
  }

  private cut(): void {
    this.server.close()
    for (const socket of this.sockets) socket.destroy()
  }
}

async function listen(server: Server, text: string): Promise<void> {
  const address = parseAddress(text)
  // The socket file of a process that was killed is still there; nobody answers on it.
  if ('path' in address && !(await answers(address.path))) rmSync(address.path, { force: true })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      if (cause.code === 'EADDRINUSE')
        reject(new HandoffError('STORE_ADDRESS_IN_USE', `the embedded store cannot listen on "${text}": another process does`, { cause }))
      else reject(new HandoffError('STORE_ADDRESS_UNUSABLE', `the embedded store cannot listen on "${text}": ${cause.message}`, { cause }))
    })
    server.listen(address, () => resolve())
  })
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

/** One client: its requests side by side, its watches. */
function serve(engine: Engine, socket: Socket): void {
  const watches = new Map<number, EngineWatch>()
  const send = (line: ServerLine): void => {
    if (socket.destroyed) return
    if (socket.writableLength > unreadBytesMax) socket.destroy()
    else socket.write(JSON.stringify(line) + '\n')
  }
  const contact = setInterval(() => {
    if (watches.size === 0) return
    // Through the engine, so that a store whose disk hangs does not pass for alive.
    engine
      .barrier()
      .then((revision) => {
        for (const watch of watches.keys()) send({ watch, event: { kind: 'contact', revision } })
      })
      .catch(() => socket.destroy())
  }, contactMs)
  const handle = async (id: number, request: Request): Promise<unknown> => {
    if (request.op === 'watch') {
      watches.set(id, await engine.watch(request.prefix, request.from, (event) => send({ watch: id, event })))
      if (socket.destroyed) watches.get(id)?.close()
      return {}
    }
    if (request.op === 'unwatch') {
      watches.get(request.watch)?.close()
      watches.delete(request.watch)
      return {}
    }
    return engine.execute(request)
  }
  const onLine = lineSplitter((line) => {
    let parsed: { readonly id: number } & Request
    try {
      parsed = JSON.parse(line) as { readonly id: number } & Request
    } catch {
      socket.destroy()
      return
    }
    handle(parsed.id, parsed)
      .then((result) => send({ id: parsed.id, result }))
      .catch((failure: unknown) => {
        if (failure instanceof HandoffError && (failure.code === 'STORE_LEASE_EXPIRED' || failure.code === 'STORE_REFUSED'))
          send({ id: parsed.id, error: { code: failure.code, message: failure.message } })
        // Anything else means that the outcome is not known here: an ended connection says just that.
        else socket.destroy()
      })
  })
  socket.setNoDelay(true)
  socket.setEncoding('utf8')
  socket.on('data', onLine)
  socket.on('error', () => {})
  socket.once('close', () => {
    clearInterval(contact)
    for (const watch of watches.values()) watch.close()
  })
}
