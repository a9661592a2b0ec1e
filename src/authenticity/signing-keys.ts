import { domainToASCII } from 'node:url'
import { HandoffError } from '../errors.ts'
import type { Mount } from '../mount/mount.ts'
import { newPrivateKey, publicRecord, type SigningAlgorithm, type SigningKey } from './signing.ts'

/** A key as it is shown to people: without what is secret. */
export interface SigningKeyEntry {
  readonly domain: string
  readonly selector: string
  readonly algorithm: SigningAlgorithm
  readonly createdAt: string
  /** The TXT record that has to be in the DNS. */
  readonly record: { readonly name: string; readonly text: string }
}

/** The keys of one mounted database. They fail over with it. */
export interface SigningKeys {
  /** @throws HandoffError SIGNING_KEY_EXISTS, SIGNING_KEY_INVALID */
  create(wanted: { readonly domain: string; readonly selector: string; readonly algorithm: SigningAlgorithm }): Promise<SigningKeyEntry>
  list(): Promise<readonly SigningKeyEntry[]>
  /** @returns whether there was one */
  remove(domain: string, selector: string): Promise<boolean>
  /** All keys of a domain: a message carries a signature of each, so that receivers that know one algorithm only are served, too. */
  of(domain: string): Promise<readonly SigningKey[]>
}

interface Row extends SigningKey {
  readonly createdAt: Date
}

const columns = 'domain, selector, algorithm, private_key as "privateKey", created_at as "createdAt"'

export function signingKeys(mount: Mount): SigningKeys {
  return {
    async create({ domain, selector, algorithm }) {
      const name = domainName(domain)
      if (!/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(selector))
        throw new HandoffError('SIGNING_KEY_INVALID', `"${selector}" is no selector: letters, digits and hyphens, at most 63`)
      const privateKey = await newPrivateKey(algorithm)
      return mount.write(`signing key ${selector}._domainkey.${name} ${privateKey.slice(-60)}`, async (db) => {
        const { rows } = await db.query<Row>(
          `insert into mail.signing_key (domain, selector, algorithm, private_key) values ($1, $2, $3, $4) on conflict do nothing returning ${columns}`,
          [name, selector, algorithm, privateKey],
        )
        if (!rows[0]) throw new HandoffError('SIGNING_KEY_EXISTS', `there is a key ${selector} of ${name} already`)
        return entryOf(rows[0])
      })
    },
    list: () => mount.read(async (db) => (await db.query<Row>(`select ${columns} from mail.signing_key order by domain, selector`)).rows.map(entryOf)),
    remove: (domain, selector) =>
      mount.idempotent(async (db) => {
        const { rows } = await db.query('delete from mail.signing_key where domain = $1 and selector = $2 returning 1', [domainName(domain), selector])
        return rows.length > 0
      }),
    of: (domain) =>
      mount.read(async (db) => (await db.query<Row>(`select ${columns} from mail.signing_key where domain = $1 order by selector`, [domainName(domain)])).rows),
  }
}

/** @throws HandoffError SIGNING_KEY_INVALID */
function domainName(text: string): string {
  const name = domainToASCII(text.replace(/\.$/, '').toLowerCase())
  if (!/^[a-z0-9_-]+(\.[a-z0-9_-]+)+$/.test(name)) throw new HandoffError('SIGNING_KEY_INVALID', `"${text}" is no domain name`)
  return name
}

function entryOf(row: Row): SigningKeyEntry {
  const { domain, selector, algorithm, createdAt } = row
  return { domain, selector, algorithm, createdAt: createdAt.toISOString(), record: publicRecord(row) }
}
