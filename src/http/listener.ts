import { randomBytes } from 'node:crypto'
import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { createSecureContext, type SecureContextOptions, TLSSocket } from 'node:tls'
import fastify, { type FastifyInstance } from 'fastify'

export interface HttpLog {
  error(fields: object, message: string): void
}

export interface HttpListenerOptions {
  /** What is answered: each adds its routes. Those that want parsers or handlers of their own register a scope. */
  readonly routes: readonly ((app: FastifyInstance) => void)[]
  readonly log: HttpLog
  /** TLS from the first byte; without it there is none. */
  readonly tls?: SecureContextOptions
  readonly sessionsMax?: number
  readonly limits?: Partial<HttpLimits>
}

export interface HttpLimits {
  /** From the beginning of a connection or of a request to the end of its header, TLS handshake included. */
  readonly headersMsMax: number
  /** To the end of its body. */
  readonly requestMsMax: number
  readonly keepAliveMs: number
  readonly bodyBytesMax: number
}

/** Speaks on sockets that are given to it; who accepts them, and on which address, is the daemon's business. */
export interface HttpListener {
  attach(socket: Socket): void
  /** Ends each connection after the requests in flight; resolves when the last is gone or `graceMs` has passed. */
  drain(graceMs?: number): Promise<void>
  close(): void
  sessionCount(): number
}

const defaultLimits: HttpLimits = { headersMsMax: 30_000, requestMsMax: 120_000, keepAliveMs: 60_000, bodyBytesMax: 1024 * 1024 }
const defaults = { sessionsMax: 10_000, drainGraceMs: 5000 } as const
/** How often connections are looked at for a request that takes too long. */
const checkMs = 1000

export function createHttpListener(options: HttpListenerOptions): HttpListener {
  const sessionsMax = options.sessionsMax ?? defaults.sessionsMax
  const secureContext = options.tls && createSecureContext(options.tls)
  /** Requests in flight on each connection. */
  const connections = new Map<Socket, number>()
  let whenEmpty: (() => void) | undefined
  let draining = false
  const app = createApp(options)
  app.addHook('onRequest', async ({ raw: { socket } }) => void connections.set(socket, (connections.get(socket) ?? 0) + 1))
  app.addHook('onResponse', async ({ raw: { socket } }) => void (connections.has(socket) && connections.set(socket, (connections.get(socket) ?? 1) - 1)))
  app.addHook('onSend', async (_request, reply) => void (draining && reply.header('connection', 'close')))
  const ready = app.ready()
  const server = app.server as Server
  // It never listens itself, but only when it believes that it does, it ends requests that take too long.
  server.emit('listening')

  const open = (socket: Socket) => {
    connections.set(socket, 0)
    socket.once('close', () => {
      connections.delete(socket)
      if (connections.size === 0) whenEmpty?.()
    })
    // A reset or a failed TLS handshake is that client's matter; 'close' follows.
    socket.on('error', () => {})
  }

  return {
    attach(socket) {
      socket.on('error', () => {})
      if (draining || connections.size >= sessionsMax) {
        socket.destroy()
        return
      }
      const used = secureContext ? new TLSSocket(socket, { isServer: true, secureContext, ALPNProtocols: ['http/1.1'] }) : socket
      if (used !== socket) socket.on('close', () => used.destroy())
      open(used)
      void ready.then(() => {
        server.emit('connection', used)
        used.resume()
      })
    },
    async drain(graceMs = defaults.drainGraceMs) {
      draining = true
      for (const [socket, inFlight] of connections) if (inFlight === 0) socket.destroy()
      if (connections.size > 0)
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, graceMs)
          whenEmpty = () => {
            clearTimeout(timer)
            resolve()
          }
        })
      this.close()
    },
    close() {
      for (const socket of connections.keys()) socket.destroy()
      server.close()
      void app.close()
    },
    sessionCount: () => connections.size,
  }
}

function createApp(options: HttpListenerOptions): FastifyInstance {
  const { headersMsMax, requestMsMax, keepAliveMs, bodyBytesMax } = { ...defaultLimits, ...options.limits }
  const app = fastify({
    logger: false,
    bodyLimit: bodyBytesMax,
    keepAliveTimeout: keepAliveMs,
    requestTimeout: requestMsMax,
    http: { headersTimeout: headersMsMax, connectionsCheckingInterval: Math.min(checkMs, headersMsMax) },
  })
  app.setErrorHandler((error, _request, reply) => {
    const status = (error as { readonly statusCode?: unknown }).statusCode
    if (typeof status === 'number' && status < 500)
      return reply
        .code(status)
        .type('text/plain')
        .send(`${(error as Error).message}\n`)
    const id = randomBytes(4).toString('hex')
    options.log.error({ id, err: error }, 'http: request failed')
    return reply.code(503).header('retry-after', '5').type('text/plain').send(`Not now, try again later (log ${id})\n`)
  })
  app.setNotFoundHandler((_request, reply) => reply.code(404).type('text/plain').send('There is nothing here\n'))
  for (const add of options.routes) add(app)
  return app
}
