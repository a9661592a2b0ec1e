import type { Socket } from 'node:net'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import type { AccountMail } from '../mailbox/account-mail.ts'
import { LoginThrottle } from '../directory/login-throttle.ts'
import type { ImapLog } from './refusal.ts'
import { type ImapLimits, Session, type SessionSurroundings } from './session.ts'

export interface ImapListenerOptions {
  /** The virtual name of the clustered mailbox server: greeting. */
  readonly name: string
  /** The store of the account that these credentials open; undefined: refused. */
  readonly login: (username: string, password: string) => Promise<AccountMail | undefined>
  readonly log: ImapLog
  readonly tls?: SecureContextOptions
  /** `implicit`: TLS from the first byte (RFC 8314, port 993). */
  readonly tlsMode: 'starttls' | 'implicit'
  /** Login without TLS, for loopback and tests. */
  readonly clearTextLogin?: 'refused' | 'allowed'
  readonly limits?: { readonly [K in keyof ImapLimits]?: ImapLimits[K] | undefined }
  readonly sessionsMax?: number
  /** First and longest wait after a wrong password. */
  readonly loginDelayMs?: { readonly first: number; readonly max: number }
}

/** Speaks on sockets that are given to it; who accepts them, and on which address, is the daemon's business. */
export interface ImapListener {
  attach(socket: Socket): void
  /** Ends each session after the command in progress, with BYE; resolves when the last is gone or `graceMs` has passed. */
  drain(graceMs?: number): Promise<void>
  close(): void
  sessionCount(): number
}

const defaultLimits: ImapLimits = {
  lineBytesMax: 8192,
  literalsMax: 32,
  literalBytesMax: 64 * 1024,
  appendBytesMax: 64 * 1024 * 1024,
  idleMs: 30 * 60_000,
  idleBeforeLoginMs: 2 * 60_000,
  keepAliveMs: 15_000,
  badCommandsMax: 10,
}

const defaults = { sessionsMax: 10_000, drainGraceMs: 5000, loginDelayMs: { first: 500, max: 8000 } } as const

export function createImapListener(options: ImapListenerOptions): ImapListener {
  const given = Object.entries(options.limits ?? {}).filter(([, value]) => value !== undefined)
  const surroundings: SessionSurroundings = {
    name: options.name,
    secureContext: options.tls ? createSecureContext(options.tls) : undefined,
    tlsMode: options.tlsMode,
    clearTextLogin: options.clearTextLogin ?? 'refused',
    login: options.login,
    throttle: new LoginThrottle(options.loginDelayMs ?? defaults.loginDelayMs),
    limits: { ...defaultLimits, ...Object.fromEntries(given) },
    log: options.log,
  }
  const sessions = new Set<Session>()
  const sessionsMax = options.sessionsMax ?? defaults.sessionsMax
  let whenEmpty: (() => void) | undefined
  let draining = false

  return {
    attach(socket) {
      if (draining || sessions.size >= sessionsMax) {
        socket.on('error', () => {})
        socket.end(`* BYE ${draining ? 'Server is moving, please reconnect' : 'Too many connections'}\r\n`)
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
