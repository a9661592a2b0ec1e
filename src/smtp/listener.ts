import type { Socket } from 'node:net'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import type { LocalDelivery } from './delivery.ts'
import { formatReply, refusals } from './reply.ts'
import { Session } from './session.ts'
import { defaultLimits, type SmtpLimits, type SmtpLog, type SmtpRole, type Surroundings, type Verify } from './surroundings.ts'

export interface SmtpListenerOptions {
  readonly role: SmtpRole
  /** The virtual name of the clustered mailbox server: greeting and Received lines. */
  readonly name: string
  readonly delivery: LocalDelivery
  readonly log: SmtpLog
  readonly tls?: SecureContextOptions
  /** `implicit`: TLS from the first byte (RFC 8314 §3.3, port 465). */
  readonly tlsMode?: 'starttls' | 'implicit'
  readonly limits?: Partial<SmtpLimits>
  readonly sessionsMax?: number
  /** AUTH without TLS, for loopback and tests. */
  readonly clearTextLogin?: 'refused' | 'allowed'
  readonly verify?: Verify | undefined
  readonly now?: () => Date
}

/** Speaks on sockets that are given to it; who accepts them, and on which address, is the daemon's business. */
export interface SmtpListener {
  attach(socket: Socket): void
  /** Ends each session after the command that runs; resolves when the last is gone or `graceMs` has passed. */
  drain(graceMs?: number): Promise<void>
  close(): void
  sessionCount(): number
}

const defaults = { sessionsMax: 10_000, drainGraceMs: 5000 } as const

export function createSmtpListener(options: SmtpListenerOptions): SmtpListener {
  const surroundings: Surroundings = {
    role: options.role,
    name: options.name,
    delivery: options.delivery,
    log: options.log,
    secureContext: options.tls && createSecureContext(options.tls),
    tlsMode: options.tlsMode ?? 'starttls',
    clearTextLogin: options.clearTextLogin ?? 'refused',
    limits: { ...defaultLimits, ...options.limits },
    verify: options.verify,
    now: options.now ?? (() => new Date()),
  }
  const sessionsMax = options.sessionsMax ?? defaults.sessionsMax
  const sessions = new Set<Session>()
  let whenEmpty: (() => void) | undefined
  let draining = false

  return {
    attach(socket) {
      if (draining || sessions.size >= sessionsMax) {
        turnAway(socket, surroundings, draining)
        return
      }
      // Replies are short and awaited; Nagle's algorithm would hold them back.
      socket.setNoDelay(true)
      const session = new Session(socket, surroundings)
      sessions.add(session)
      void session.run().finally(() => {
        sessions.delete(session)
        if (sessions.size === 0) whenEmpty?.()
      })
    },
    async drain(graceMs = defaults.drainGraceMs) {
      draining = true
      if (sessions.size === 0) return
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, graceMs)
        whenEmpty = () => {
          clearTimeout(timer)
          resolve()
        }
        for (const session of sessions) session.drain()
      })
      this.close()
    },
    close() {
      for (const session of sessions) session.destroy()
    },
    sessionCount: () => sessions.size,
  }
}

/** Inside TLS there would have to be a handshake first; the connection just ends. */
function turnAway(socket: Socket, { tlsMode, name }: Surroundings, isDraining: boolean): void {
  socket.on('error', () => {})
  if (tlsMode === 'implicit') socket.destroy()
  else socket.end(formatReply((isDraining ? refusals.moving(name) : refusals.tooManySessions()).reply))
}
