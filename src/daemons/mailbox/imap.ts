import type { Mail } from './mail.ts'
import type { SessionListener } from './server-listeners.ts'

/** Stands in for the IMAP listener until it is there: says so in IMAP's own words and closes. */
export function createImap(_mail: Mail, server: string, _tls: 'starttls' | 'implicit'): SessionListener {
  return {
    attach: (socket) => void socket.end(`* BYE ${server} has no IMAP yet\r\n`),
    drain: async () => {},
    sessionCount: () => 0,
  }
}
