import type { SieveAdmin } from '../../admin/sieve-api.ts'
import { HandoffError } from '../../errors.ts'
import { scriptsOf } from '../../filter/scripts.ts'
import { firstFound } from './local-delivery.ts'
import type { MailDatabase } from './mail-database.ts'

/** The Sieve scripts in the databases that this node has mounted, for the admin API. */
export function sieveKeeper(databases: () => readonly MailDatabase[]): SieveAdmin {
  return {
    async scriptsFor(address) {
      const found = await firstFound(databases(), async (database) => {
        const owner = await database.findRecipient(address)
        return owner && scriptsOf(database.mount, owner.accountId)
      })
      if (!found) throw new HandoffError('ACCOUNT_UNKNOWN', `nobody has the address "${address}" here`)
      return found
    },
  }
}
