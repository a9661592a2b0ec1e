import pg from 'pg'
import { scrypt as scryptCallback, randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import type { Logger } from 'pino'
import type { DatabaseMount } from '../../mount/mounts.ts'
import type { AccountMail } from '../../mailbox/account-mail.ts'
import type { DeliveryOutcome, Submitter } from '../../smtp/delivery.ts'

const scrypt = promisify(scryptCallback) as (p: string, s: string, n: number) => Promise<Buffer>

/** One mounted mailbox database as a process of the mailbox service uses it. */
export interface MailDatabase {
  readonly name: string
  update(mount: DatabaseMount): void
  migrate(): Promise<void>
  findRecipient(address: string): Promise<{ readonly accountId: string } | undefined>
  authenticate(username: string, password: string): Promise<Submitter | undefined>
  createAccount(address: string, password: string): Promise<{ readonly accountId: string }>
  listAccounts(): Promise<readonly { readonly address: string; readonly accountId: string }[]>
  /** One transaction for all recipients; exactly once for each key and recipient. */
  deliver(request: { readonly deliveryKey: string; readonly message: Buffer; readonly accountIds: readonly string[] }): Promise<readonly DeliveryOutcome[]>
  /** The mail of one account, for IMAP. */
  account(accountId: string): AccountMail
  /** A change that another process committed. */
  hear(change: unknown): void
  close(): Promise<void>
}

export interface MailDatabaseOptions {
  readonly poolSize: number
  readonly holdMsMax: number
  readonly log: Logger
  /** Told of every change this process commits. */
  readonly publish?: (change: unknown) => void
}

// INTERIM: replaced by src/mount and src/mailbox.
export function openMailDatabase(first: DatabaseMount, options: MailDatabaseOptions): MailDatabase {
  let mount = first
  const wake: (() => void)[] = []
  const make = () => {
    const pool = new pg.Pool({ host: mount.host, port: mount.port, user: mount.user, password: mount.password, database: mount.name, max: options.poolSize })
    pool.on('error', () => {})
    pool.on('connect', (client) => client.on('error', () => {}))
    return pool
  }
  let pool = make()
  const run = async <T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> => {
    const deadline = performance.now() + options.holdMsMax
    for (;;) {
      if (performance.now() > deadline) throw new Error(`database "${mount.name}" was held for too long`)
      if (mount.held) {
        await Promise.race([
          new Promise<void>((resolve) => wake.push(resolve)),
          new Promise((resolve) => setTimeout(resolve, deadline - performance.now()).unref()),
        ])
        continue
      }
      let client: pg.PoolClient | undefined
      try {
        client = await pool.connect()
        const result = await work(client)
        client.release()
        return result
      } catch (error) {
        client?.release(true)
        const code = (error as { code?: string }).code ?? ''
        if (/^(08|57P|ECONN|EPIPE|ENOENT)/.test(code) || /terminated|ended/.test(String(error))) await new Promise((resolve) => setTimeout(resolve, 20))
        else throw error
      }
    }
  }
  return {
    name: first.name,
    update(next) {
      const moved = next.host !== mount.host || next.port !== mount.port
      mount = next
      if (moved) {
        void pool.end()
        pool = make()
      }
      if (!next.held) for (const each of wake.splice(0)) each()
    },
    migrate: () =>
      run(async (client) => {
        await client.query(`create table if not exists account(id bigserial primary key, address text unique, salt text, hash text);
          create table if not exists delivered(key text, account bigint, message bytea, primary key(key, account))`)
      }),
    findRecipient: (address) =>
      run(async (c) => (await c.query('select id from account where address=lower($1)', [address])).rows[0]).then((r) => r && { accountId: r.id }),
    async authenticate(username, password) {
      const row = await run(async (c) => (await c.query('select * from account where address=lower($1)', [username])).rows[0])
      if (!row || (await scrypt(password, row.salt, 32)).toString('hex') !== row.hash) return undefined
      return { accountId: row.id, address: row.address }
    },
    async createAccount(address, password) {
      const salt = randomBytes(16).toString('hex')
      const hash = (await scrypt(password, salt, 32)).toString('hex')
      return run(
        async (c) => (await c.query('insert into account(address,salt,hash) values(lower($1),$2,$3) returning id', [address, salt, hash])).rows[0],
      ).then((r) => ({ accountId: r.id }))
    },
    listAccounts: () => run(async (c) => (await c.query('select id, address from account')).rows.map((r) => ({ accountId: r.id, address: r.address }))),
    async deliver({ deliveryKey, message, accountIds }) {
      await run((c) => c.query('insert into delivered select $1, unnest($2::bigint[]), $3 on conflict do nothing', [deliveryKey, accountIds, message]))
      options.publish?.({ accountIds })
      return accountIds.map(() => ({ kind: 'delivered' }))
    },
    account() {
      throw new Error('the mail store is not there yet')
    },
    hear() {},
    close: () => pool.end(),
  }
}
