import { createImapListener, type ImapListener } from '../../imap/listener.ts'
import { firstFound } from './local-delivery.ts'
import type { Mail } from './mail.ts'

/** The IMAP listener of one server: whoever's credentials a database of that server knows gets that account. */
export function createImap(mail: Mail, server: string, tlsMode: 'starttls' | 'implicit'): ImapListener {
  const { options, certificate, log } = mail
  return createImapListener({
    name: server,
    tls: certificate,
    tlsMode,
    clearTextLogin: options.clearTextLogin,
    sessionsMax: options.sessionsMax,
    limits: { appendBytesMax: options.messageBytesMax },
    log,
    login: (username, password) =>
      firstFound(mail.databasesOf(server), async (database) => {
        const account = await database.authenticate(username, password)
        return account && database.account(account.accountId)
      }),
  })
}
