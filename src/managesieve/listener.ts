import type { Socket } from 'node:net'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import { LoginThrottle } from '../directory/login-throttle.ts'
import { limits as sieveLimits } from '../sieve/limits.ts'
import { formatReply, refusals } from './reply.ts'
import { Session } from './session.ts'
import type { ManageSieveLimits, ManageSieveLog, Owner, Surroundings } from './surroundings.ts'

export interface ManageSieveListenerOptions {
  /** The virtual name of the clustered mailbox server: greeting. */
  readonly name: string
  /** Whose scripts these credentials open; undefined: refused. */
  readonly login: (username: string, password: string) => Promise<Owner | undefined>
  readonly log: ManageSieveLog
  readonly tls?: SecureContextOptions
  /** Login without TLS, for loopback and tests. */
  readonly clearTextLogin?: 'refused' | 'allowed'
  readonly limits?: Partial<ManageSieveLimits>
  readonly sessionsMax?: number
  /** First and longest wait after a wrong password. */
  readonly loginDelayMs?: { readonly first: number; readonly max: number }
}

/** Speaks on sockets that are given to it; who accepts them, and on which address, is the daemon's business. */
export interface ManageSieveListener {
  attach(socket: Socket): void
  /** Ends each session after the command in flight, with BYE; resolves when the last is gone or `graceMs` has passed. */
  drain(graceMs?: number): Promise<void>
  close(): void
  sessionCount(): number
}

const defaultLimits: ManageSieveLimits = {
  lineBytesMax: 4096,
  // A script, and two names.
  literalBytesMax: sieveLimits.scriptBytes + 4096,
  literalBytesBeforeLoginMax: 4096,
  skippedBytesMax: 1024 * 1024,
  skippedBytesBeforeLoginMax: 64 * 1024,
  silenceMsMax: 30 * 60_000,
  silenceBeforeLoginMsMax: 2 * 60_000,
  badCommandsMax: 10,
  failedLoginsMax: 5,
}

const defaults = { sessionsMax: 10_000, drainGraceMs: 5000, loginDelayMs: { first: 500, max: 8000 } } as const

export function createManageSieveListener(options: ManageSieveListenerOptions): ManageSieveListener {
  const surroundings: Surroundings = {
    name: options.name,
    secureContext: options.tls && createSecureContext(options.tls),
    clearTextLogin: options.clearTextLogin ?? 'refused',
    login: options.login,
    throttle: new LoginThrottle(options.loginDelayMs ?? defaults.loginDelayMs),
    limits: { ...defaultLimits, ...options.limits },
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
        socket.end(formatReply((draining ? refusals.moving(options.name) : refusals.tooManySessions()).reply))
        return
      }
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
