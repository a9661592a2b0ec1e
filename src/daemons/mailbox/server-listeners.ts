import type { Socket } from 'node:net'
import { createSmtpListener } from '../../smtp/listener.ts'
import type { SmtpRole } from '../../smtp/surroundings.ts'
import type { ListenerProtocol } from '../../mount/mounts.ts'
import { createHttp } from './http.ts'
import { verifierOf } from './verifying.ts'
import { createImap } from './imap.ts'
import type { Mail } from './mail.ts'
import { createManageSieve } from './managesieve.ts'

/** What every protocol's listener offers: sessions on sockets that are handed in. */
export interface SessionListener {
  attach(socket: Socket): void
  drain(): Promise<void>
  sessionCount(): number
}

export interface ServerListeners {
  attach(protocol: ListenerProtocol, socket: Socket): void
  drain(): Promise<void>
  sessionCount(): number
}

/** The listeners of one clustered mailbox server in this worker, all of them made ahead. */
export function createServerListeners(server: string, mail: Mail): ServerListeners {
  const listeners: Record<ListenerProtocol, SessionListener> = {
    smtp: smtp(server, mail, 'smtp', 'starttls'),
    submission: smtp(server, mail, 'submission', 'starttls'),
    submissions: smtp(server, mail, 'submission', 'implicit'),
    lmtp: smtp(server, mail, 'lmtp', 'starttls'),
    imap: createImap(mail, server, 'starttls'),
    imaps: createImap(mail, server, 'implicit'),
    sieve: createManageSieve(mail, server),
    http: createHttp(mail, server, 'none'),
    https: createHttp(mail, server, 'implicit'),
  }
  const all = Object.values(listeners)
  return {
    attach(protocol, socket) {
      // A client that is gone without a word (its machine died) is found out, and Nagle would hold back short replies.
      socket.setKeepAlive(true, 60_000)
      socket.setNoDelay(true)
      listeners[protocol].attach(socket)
    },
    drain: async () => void (await Promise.all(all.map((listener) => listener.drain()))),
    sessionCount: () => all.reduce((sum, listener) => sum + listener.sessionCount(), 0),
  }
}

function smtp(server: string, mail: Mail, role: SmtpRole, tlsMode: 'starttls' | 'implicit'): SessionListener {
  const { options, certificate, log } = mail
  return createSmtpListener({
    role,
    name: server,
    delivery: mail.deliveryFor(server),
    log,
    tls: certificate,
    verify: role === 'smtp' ? verifierOf(server, options) : undefined,
    tlsMode,
    limits: { messageBytesMax: options.messageBytesMax },
    sessionsMax: options.sessionsMax,
    clearTextLogin: options.clearTextLogin,
  })
}
