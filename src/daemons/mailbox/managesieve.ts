import { scriptsOf } from '../../filter/scripts.ts'
import { createManageSieveListener, type ManageSieveListener } from '../../managesieve/listener.ts'
import { firstFound } from './local-delivery.ts'
import type { Mail } from './mail.ts'

/** The ManageSieve listener of one server: whoever's credentials a database of that server knows gets the scripts of that account. */
export function createManageSieve(mail: Mail, server: string): ManageSieveListener {
  const { options, certificate, log } = mail
  return createManageSieveListener({
    name: server,
    tls: certificate,
    clearTextLogin: options.clearTextLogin,
    sessionsMax: options.sessionsMax,
    log,
    login: (username, password) =>
      firstFound(mail.databasesOf(server), async (database) => {
        const account = await database.authenticate(username, password)
        return account && { address: account.address, scripts: scriptsOf(database.mount, account.accountId) }
      }),
  })
}
