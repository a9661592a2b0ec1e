import type { SigningKeyAdmin } from '../../admin/signing-key-api.ts'
import { type SigningKeys, signingKeys } from '../../authenticity/signing-keys.ts'
import { HandoffError } from '../../errors.ts'
import type { MailDatabase } from './mail-database.ts'

/** The signing keys of the databases that this node has mounted, for the admin API. A key is in one of them and serves them all. */
export function signingKeyKeeper(databases: () => readonly MailDatabase[]): SigningKeyAdmin {
  const all = (): readonly SigningKeys[] => databases().map(({ mount }) => signingKeys(mount))
  return {
    async createSigningKey(wanted) {
      const [first, ...others] = all()
      if (!first) throw new HandoffError('DATABASE_UNKNOWN', 'no mailbox database is mounted here')
      for (const keys of others)
        if ((await keys.of(wanted.domain)).some(({ selector }) => selector === wanted.selector))
          throw new HandoffError('SIGNING_KEY_EXISTS', `there is a key ${wanted.selector} of ${wanted.domain} already`)
      return first.create(wanted)
    },
    listSigningKeys: async () => (await Promise.all(all().map((keys) => keys.list()))).flat(),
    removeSigningKey: async (domain, selector) => (await Promise.all(all().map((keys) => keys.remove(domain, selector)))).includes(true),
  }
}
