import { randomUUID } from 'node:crypto'
import { HandoffError } from '../errors.ts'
import type { Mount } from '../mount/mount.ts'
import type { Queries } from '../mount/target.ts'
import { readAddress, requireAddress, withoutTag } from './address.ts'
import type { Directory } from './directory.ts'
import { hashPassword, VerifiedPasswords } from './password.ts'

/** RFC 6154: made with every account, and subscribed to. */
const firstMailboxes: readonly (readonly [string, string | null])[] = [
  ['INBOX', null],
  ['Drafts', '\\Drafts'],
  ['Sent', '\\Sent'],
  ['Junk', '\\Junk'],
  ['Trash', '\\Trash'],
  ['Archive', '\\Archive'],
]

export function createDirectory(mount: Mount): Directory {
  const verified = new VerifiedPasswords()
  return {
    mount,
    createAccount: ({ address, password }) => createAccount(mount, address, password),
    async setPassword(address, password) {
      const { address: wanted } = requireAddress(address)
      const hash = await hashPassword(requirePassword(password))
      const changed = await mount.write(
        randomUUID(),
        async (db) => (await db.query('update mail.account set password = $2 where address = $1', [wanted, hash])).rowCount,
      )
      if (changed === 0) throw unknownAccount(address)
    },
    createAlias: (alias, address) => createAlias(mount, alias, address),
    async listAccounts() {
      const sql = 'select address, id::text as "accountId" from mail.account order by address'
      return (await mount.read((db) => db.query<{ address: string; accountId: string }>(sql))).rows
    },
    async authenticate(username, password) {
      const address = readAddress(username)
      const row = address && (await findExact(mount, [address.address]))[0]
      return (await verified.verify(password, row?.password)) && row ? { accountId: row.accountId, address: row.account } : undefined
    },
    async findPostmaster() {
      const sql = `select 'postmaster@' || d.name as address, coalesce(a.id, l.account_id)::text as "accountId" from mail.domain d
        left join mail.account a on a.address = 'postmaster@' || d.name left join mail.alias l on l.address = 'postmaster@' || d.name
        where coalesce(a.id, l.account_id) is not null order by d.name limit 1`
      return (await mount.read((db) => db.query<{ address: string; accountId: string }>(sql))).rows[0]
    },
    async hasDomain(name) {
      const domain = name.normalize('NFC').toLowerCase().replace(/\.$/, '')
      return (await mount.read((db) => db.query('select from mail.domain where name = $1', [domain], 'directory.domain'))).rowCount > 0
    },
    async resolveRecipient(text) {
      const address = readAddress(text)
      if (!address) return undefined
      const base = withoutTag(address)
      const rows = await findExact(mount, base ? [address.address, base.address] : [address.address])
      // An address that is there with its plus comes before a tag.
      const exact = rows.find((row) => row.matched === address.address)
      const found = exact ?? rows[0]
      return found && { accountId: found.accountId, address: found.account, tag: exact ? undefined : base?.tag, filtered: found.filtered }
    },
  }
}

interface Found {
  readonly matched: string
  readonly account: string
  readonly accountId: string
  readonly password: string
  readonly filtered: boolean
}

async function findExact(mount: Mount, addresses: readonly string[]): Promise<readonly Found[]> {
  const filtered = 'exists (select from mail.sieve_script s where s.account_id = a.id and s.active) as filtered'
  const sql = `select a.address as matched, a.address as account, a.id::text as "accountId", a.password, ${filtered} from mail.account a where a.address = any ($1)
    union all select l.address, a.address, a.id::text, a.password, ${filtered}
      from mail.alias l join mail.account a on a.id = l.account_id where l.address = any ($1)`
  return (await mount.read((db) => db.query<Found>(sql, [addresses], 'directory.find'))).rows
}

async function createAccount(mount: Mount, text: string, password: string): Promise<{ readonly accountId: string }> {
  const { address, domain } = requireAddress(text)
  const hash = await hashPassword(requirePassword(password))
  return mount.write(randomUUID(), async (db) => {
    await requireFree(db, address)
    await db.query('insert into mail.domain (name) values ($1) on conflict do nothing', [domain])
    const { rows } = await db.query<{ id: string }>(
      'insert into mail.account (address, domain, password) values ($1, $2, $3) on conflict do nothing returning id::text',
      [address, domain, hash],
    )
    const accountId = rows[0]?.id
    if (accountId === undefined) throw existingAccount(address)
    const names = firstMailboxes.map(([name]) => name)
    await db.query('insert into mail.mailbox (account_id, name, special_use) select $1, * from unnest($2::text[], $3::text[])', [
      accountId,
      names,
      firstMailboxes.map(([, use]) => use),
    ])
    await db.query('insert into mail.subscription (account_id, name) select $1, unnest($2::text[])', [accountId, names])
    return { accountId }
  })
}

async function createAlias(mount: Mount, text: string, target: string): Promise<void> {
  const alias = requireAddress(text).address
  const address = requireAddress(target).address
  await mount.write(randomUUID(), async (db) => {
    await requireFree(db, alias)
    const { rows } = await db.query<{ id: string }>('select id::text from mail.account where address = $1', [address])
    if (!rows[0]) throw unknownAccount(target)
    const { rowCount } = await db.query('insert into mail.alias (address, account_id) values ($1, $2) on conflict do nothing', [alias, rows[0].id])
    if (rowCount === 0) throw existingAccount(alias)
    return null
  })
}

/** Accounts and aliases share one space of names; the lock keeps two that are made in one moment apart. */
async function requireFree(db: Queries, address: string): Promise<void> {
  await db.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [address])
  const { rowCount } = await db.query('select from mail.account where address = $1 union all select from mail.alias where address = $1', [address])
  if (rowCount > 0) throw existingAccount(address)
}

function requirePassword(password: string): string {
  if (password === '' || password.length > 1000) throw new HandoffError('ACCOUNT_INVALID', 'a password has 1 to 1000 characters')
  return password
}

function existingAccount(address: string): HandoffError {
  return new HandoffError('ACCOUNT_EXISTS', `the address "${address}" is taken`)
}

function unknownAccount(address: string): HandoffError {
  return new HandoffError('ACCOUNT_UNKNOWN', `there is no account "${address}"`)
}
