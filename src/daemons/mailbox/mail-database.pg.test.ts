import { afterAll, beforeAll, test } from 'vitest'
import type { DatabaseMount } from '../../mount/mounts.ts'
import { startThrowaway, type Throwaway, until } from '../../postgres/fixture.ts'
import { openMailDatabase } from './mail-database.ts'

const silent = { info: () => {}, warn: () => {} }
let postgres: Throwaway
beforeAll(async () => {
  postgres = await startThrowaway({ prepareTemplate: async () => undefined })
})
afterAll(() => postgres?.stop())

test('a session learns of a delivery that another service made, or a process that could not tell', async () => {
  const { host, port, user, password, database: name } = await postgres.database()
  const mount: DatabaseMount = { name, storageGroup: 'sg1', host, port, user, password, epoch: 0, held: false }
  // Neither publishes, neither hears: as on two nodes.
  const here = openMailDatabase(mount, { poolSize: 2, holdMsMax: 10_000, log: silent })
  const elsewhere = openMailDatabase(mount, { poolSize: 2, holdMsMax: 10_000, log: silent })
  try {
    await here.migrate()
    const { accountId } = await here.directory.createAccount({ address: 'ann@example.org', password: 'a' })
    const account = here.account(accountId)
    const inbox = (await account.mailboxes()).find((mailbox) => mailbox.name === 'INBOX')
    let told = 0
    account.watch(inbox?.id ?? '', () => told++)
    await until(() => told === 1)
    await elsewhere.deliver({ deliveryKey: 'k', message: Buffer.from('Subject: s\r\n\r\n.\r\n'), accountIds: [accountId] })
    await until(() => told === 2)
  } finally {
    await Promise.all([here.close(), elsewhere.close()])
  }
})
