import { expect, test } from 'vitest'
import { createMailStore } from '../mailbox/mail-store.ts'
import { createMount } from '../mount/mount.ts'
import { withPostgres } from '../postgres/fixture.ts'
import { createDirectory } from './accounts.ts'
import { hashPassword, verifyPassword } from './password.ts'

test('accounts, aliases and tags: one address belongs to one account, in any case of letters', () =>
  withPostgres(async (postgres) => {
    const mount = createMount({ name: 'mail' })
    mount.target({ ...(await postgres.database()), epoch: 0, held: false })
    await createMailStore(mount).migrate()
    const directory = createDirectory(mount)
    try {
      const { accountId } = await directory.createAccount({ address: 'Ann@Example.ORG', password: 'pässwort' })
      expect(await directory.listAccounts()).toEqual([{ address: 'ann@example.org', accountId }])
      await expect(directory.createAccount({ address: 'ann@example.org', password: 'x' })).rejects.toMatchObject({ code: 'ACCOUNT_EXISTS' })
      for (const address of ['', 'ann', '@x', 'a b@x', 'a@', `${'a'.repeat(65)}@x`])
        await expect(directory.createAccount({ address, password: 'x' })).rejects.toMatchObject({ code: 'ACCOUNT_INVALID' })

      // Right, from memory, wrong, nobody, and right no longer.
      const ann = { accountId, address: 'ann@example.org' }
      expect(await directory.authenticate('ANN@example.org', 'pässwort')).toEqual(ann)
      expect(await directory.authenticate('ann@example.org', 'pässwort'.normalize('NFD'))).toEqual(ann)
      expect(await directory.authenticate('ann@example.org', 'wrong')).toBeUndefined()
      expect(await directory.authenticate('nobody@example.org', 'x')).toBeUndefined()
      await directory.setPassword('ann@example.org', 'new')
      expect(await directory.authenticate('ann@example.org', 'pässwort')).toBeUndefined()
      expect(await directory.authenticate('ann@example.org', 'new')).toEqual(ann)

      await directory.createAlias('post@example.org', 'ann@example.org')
      expect(await directory.findPostmaster()).toBeUndefined()
      await directory.createAlias('postmaster@example.org', 'ann@example.org')
      expect(await directory.findPostmaster()).toEqual({ accountId, address: 'postmaster@example.org' })
      await expect(directory.createAlias('post@example.org', 'ann@example.org')).rejects.toMatchObject({ code: 'ACCOUNT_EXISTS' })
      await expect(directory.createAlias('x@example.org', 'nobody@example.org')).rejects.toMatchObject({ code: 'ACCOUNT_UNKNOWN' })
      const { accountId: plus } = await directory.createAccount({ address: 'ann+list@example.org', password: 'x' })
      expect(await directory.resolveRecipient('ann+Tag@example.org')).toEqual({ ...ann, tag: 'tag', filtered: false })
      expect(await directory.resolveRecipient('Post+a+b@EXAMPLE.org.')).toEqual({ ...ann, tag: 'a+b', filtered: false })
      expect(await directory.resolveRecipient('ann+list@example.org')).toEqual({
        accountId: plus,
        address: 'ann+list@example.org',
        tag: undefined,
        filtered: false,
      })
      for (const address of ['bob@example.org', '+ann@example.org', 'ann@example.com', 'ann', ''])
        expect(await directory.resolveRecipient(address)).toBeUndefined()
      // Two that are made in one moment: one of them wins.
      const both = await Promise.allSettled(['twin@example.org', 'Twin@example.org'].map((address) => directory.createAccount({ address, password: 'x' })))
      expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    } finally {
      await mount.close()
    }
  }))

test('a stored password says how it was hashed, and an unknown way is never right', async () => {
  const stored = await hashPassword('secret')
  expect(stored).toMatch(/^\$scrypt\$ln=14,r=8,p=1\$/)
  expect(await verifyPassword('secret', stored)).toBe(true)
  expect(await verifyPassword('secret ', stored)).toBe(false)
  for (const broken of ['', 'secret', stored.replace('scrypt', 'md5'), stored.replace('ln=14', 'ln=40')])
    expect(await verifyPassword('secret', broken)).toBe(false)
})
