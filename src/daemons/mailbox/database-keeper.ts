import type { Logger } from 'pino'
import type { CreateMailbox, MailboxEntry, ServiceHealth } from '../../admin/mailbox-api.ts'
import { HandoffError } from '../../errors.ts'
import type { MountsMessage } from '../../mount/mounts.ts'
import { type MailDatabase, openMailDatabase } from './mail-database.ts'
import type { MailboxServiceOptions } from './options.ts'

interface Kept {
  readonly database: MailDatabase
  epoch: number
  held: boolean
  /** The schema is the one of this program. Once true it stays: later epochs are copies of this database. */
  migrated: boolean
  migrating: boolean
  error: string | undefined
}

const poolSize = 2
const retryMs = 300
const sweepEveryMs = 10 * 60_000

/** The databases as the primary process uses them: brings the schema up to date before the workers may write, and makes mailboxes. */
export class DatabaseKeeper {
  readonly #options: MailboxServiceOptions
  readonly #log: Logger
  readonly #changed: () => void
  readonly #kept = new Map<string, Kept>()
  readonly #sweep: NodeJS.Timeout
  #closed = false

  constructor(options: { readonly options: MailboxServiceOptions; readonly log: Logger; readonly changed: () => void }) {
    this.#options = options.options
    this.#log = options.log
    this.#changed = options.changed
    this.#sweep = setInterval(() => this.#sweepAll(), sweepEveryMs)
    this.#sweep.unref()
  }

  setMounts(mounts: MountsMessage): void {
    const names = new Set(mounts.databases.map((mount) => mount.name))
    for (const [name, kept] of this.#kept) {
      if (names.has(name)) continue
      this.#kept.delete(name)
      void kept.database.close()
    }
    for (const mount of mounts.databases) {
      let kept = this.#kept.get(mount.name)
      if (!kept) {
        const database = openMailDatabase(mount, { poolSize, holdMsMax: this.#options.holdMsMax, log: this.#log })
        kept = { database, epoch: mount.epoch, held: mount.held, migrated: false, migrating: false, error: undefined }
        this.#kept.set(mount.name, kept)
      } else kept.database.update(mount)
      kept.epoch = mount.epoch
      kept.held = mount.held
      if (!mount.held) void this.#migrate(mount.name, kept)
    }
  }

  /** The workers see a database as held until its schema is there. */
  forWorkers(mounts: MountsMessage): MountsMessage {
    return { ...mounts, databases: mounts.databases.map((mount) => ({ ...mount, held: mount.held || !this.#kept.get(mount.name)?.migrated })) }
  }

  /** Those whose schema is there. */
  databases(): readonly MailDatabase[] {
    return [...this.#kept.values()].filter(({ migrated }) => migrated).map(({ database }) => database)
  }

  health(): ServiceHealth['databases'] {
    return [...this.#kept].map(([name, { epoch, held, migrated, error }]) => ({
      name,
      epoch,
      held,
      ready: migrated,
      ...(error === undefined ? {} : { error }),
    }))
  }

  async createMailbox(wanted: CreateMailbox): Promise<MailboxEntry> {
    const name = this.#choose(wanted)
    const target = this.#kept.get(name)
    if (!target) throw new HandoffError('DATABASE_UNKNOWN', `cannot create the mailbox "${wanted.address}": there is no database "${name}" here`)
    const elsewhere = [...this.#kept.values()].filter((kept) => kept !== target && kept.migrated)
    const others = await Promise.all(elsewhere.map(async ({ database }) => ((await database.findRecipient(wanted.address)) ? database.name : undefined)))
    const taken = others.find((other) => other !== undefined)
    if (taken !== undefined)
      throw new HandoffError('ADDRESS_TAKEN', `cannot create the mailbox "${wanted.address}": the address is in the database "${taken}"`, {
        remedy: 'Choose another address.',
      })
    const { accountId } = await target.database.directory.createAccount({ address: wanted.address, password: wanted.password })
    this.#log.info({ address: wanted.address, database: name, accountId }, 'mailbox created')
    return { address: wanted.address, accountId, database: name }
  }

  async listMailboxes(): Promise<readonly MailboxEntry[]> {
    const lists = await Promise.all(
      [...this.#kept.values()].map(async ({ database }) =>
        (await database.directory.listAccounts()).map((account) => ({ ...account, database: database.name })),
      ),
    )
    return lists.flat().sort((a, b) => a.address.localeCompare(b.address))
  }

  async close(): Promise<void> {
    this.#closed = true
    clearInterval(this.#sweep)
    await Promise.all([...this.#kept.values()].map(({ database }) => database.close()))
  }

  #choose(wanted: CreateMailbox): string {
    if (wanted.database !== undefined) return wanted.database
    const names = [...this.#kept.keys()]
    if (names.length === 1 && names[0] !== undefined) return names[0]
    const found = names.length === 0 ? 'there is no database yet' : `there are several databases (${names.join(', ')})`
    throw new HandoffError(
      'DATABASE_UNKNOWN',
      `cannot choose a database for "${wanted.address}": ${found}`,
      names.length === 0 ? {} : { remedy: 'Name one with --database.' },
    )
  }

  #sweepAll(): void {
    for (const [name, { database, held, migrated }] of this.#kept) {
      if (held || !migrated) continue
      database.sweep().catch((err: unknown) => this.#log.warn({ database: name, err }, 'database: sweep not done, next time'))
    }
  }

  async #migrate(name: string, kept: Kept): Promise<void> {
    if (kept.migrated || kept.migrating) return
    kept.migrating = true
    try {
      await kept.database.migrate()
      kept.migrated = true
      kept.error = undefined
      this.#log.info({ database: name }, 'database: schema is up to date')
      this.#changed()
    } catch (err) {
      const error = err instanceof Error ? err.message : String(err)
      if (kept.error !== error) this.#log.warn({ database: name, err }, 'database: schema cannot be brought up to date yet, trying on')
      kept.error = error
      setTimeout(() => {
        if (!this.#closed && !kept.held && this.#kept.get(name) === kept) void this.#migrate(name, kept)
      }, retryMs)
    } finally {
      kept.migrating = false
    }
  }
}
