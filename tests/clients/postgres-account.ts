import { createDirectory } from '../../src/directory/accounts.ts'
import { createMailStore } from '../../src/mailbox/mail-store.ts'
import { createMount } from '../../src/mount/mount.ts'
import { startThrowaway } from '../../src/postgres/fixture.ts'
import type { AccountMail } from '../../src/mailbox/account-mail.ts'

/** For tests: an account in a mounted database of a real PostgreSQL. */
export interface PostgresAccount {
  readonly store: AccountMail
  close(): Promise<void>
  /** As at the beginning and the end of a failover. */
  hold(): void
  resume(): void
}

export async function openPostgresAccount(): Promise<PostgresAccount> {
  const postgres = await startThrowaway()
  const target = { ...(await postgres.database()), epoch: 0 }
  const mount = createMount({ name: target.database })
  mount.target({ ...target, held: false })
  const mail = createMailStore(mount)
  await mail.migrate()
  const { accountId } = await createDirectory(mount).createAccount({ address: 'ann@example.org', password: 'secret' })
  return {
    store: mail.account(accountId),
    hold: () => mount.target({ ...target, held: true }),
    resume: () => mount.target({ ...target, held: false }),
    async close() {
      await mount.close()
      await postgres.stop()
    },
  }
}
