import type { Logger } from 'pino'
import { type MountsMessage, noMounts } from '../../mount/mounts.ts'
import type { DeliveryOutcome, LocalDelivery, LocalRecipient } from '../../smtp/delivery.ts'
import { type MailDatabase, openMailDatabase } from './mail-database.ts'
import type { WorkerStart } from './wire.ts'

/** The mail half of one worker process: its mounted databases, and what the protocols' listeners need of them. */
export interface Mail extends WorkerStart {
  readonly log: Logger
  setMounts(mounts: MountsMessage): void
  /** A change that another worker committed. */
  hear(change: unknown): void
  deliveryFor(server: string): LocalDelivery
  /** The databases that a server serves, as the mounts say now. */
  databasesOf(server: string): readonly MailDatabase[]
  close(): Promise<void>
}

/** A change as it travels to the other workers. */
interface Announcement {
  readonly database: string
  readonly change: unknown
}

export function createMail(given: WorkerStart & { readonly log: Logger; readonly publish: (announcement: unknown) => void }): Mail {
  const { options } = given
  const databases = new Map<string, MailDatabase>()
  let mounts = noMounts

  const databasesOf = (server: string) => {
    const names = mounts.servers.find((each) => each.name === server)?.databases ?? []
    return names.map((name) => databases.get(name)).filter((database) => database !== undefined)
  }

  const mail: Mail = {
    ...given,
    databasesOf,
    setMounts(next) {
      mounts = next
      const names = new Set(next.databases.map((mount) => mount.name))
      for (const [name, database] of databases) {
        if (names.has(name)) continue
        databases.delete(name)
        void database.close()
      }
      for (const mount of next.databases) {
        const known = databases.get(mount.name)
        if (known) known.update(mount)
        else {
          const publish = (change: unknown) => given.publish({ database: mount.name, change } satisfies Announcement)
          databases.set(
            mount.name,
            openMailDatabase(mount, { poolSize: options.poolSize, holdMsMax: options.holdMsMax, loginDomain: options.loginDomain, publish }),
          )
        }
      }
    },
    hear(announcement) {
      const { database, change } = announcement as Announcement
      databases.get(database)?.hear(change)
    },
    deliveryFor: (server) => localDelivery(server, () => databasesOf(server)),
    async close() {
      await Promise.all([...databases.values()].map((database) => database.close()))
    },
  }
  return mail
}

/** Delivery into the databases of one server. */
export function localDelivery(server: string, databases: () => readonly MailDatabase[]): LocalDelivery {
  const findRecipient = (address: string) =>
    firstFound(databases(), async (database) => {
      const found = await database.findRecipient(address)
      return found && { address, accountId: found.accountId, database: database.name }
    })
  return {
    findRecipient,
    // RFC 5321 §4.5.1: this server's own postmaster, or else one of a domain that it has.
    findPostmaster: async () =>
      (await findRecipient(`postmaster@${server}`)) ??
      firstFound(databases(), async (database) => {
        const found = await database.findPostmaster()
        return found && { ...found, database: database.name }
      }),
    authenticate: (username, password) => firstFound(databases(), (database) => database.authenticate(username, password)),
    async deliver(request) {
      const outcomes = new Map<LocalRecipient, DeliveryOutcome>()
      const groups = byDatabaseName(request.recipients)
      await Promise.all(
        [...groups].map(async ([name, recipients]) => {
          const database = databases().find((each) => each.name === name)
          const results = await deliverTo(database, request.deliveryKey, request.message, recipients)
          for (const [i, recipient] of recipients.entries()) outcomes.set(recipient, results[i] ?? missing(name))
        }),
      )
      return request.recipients.map((recipient) => outcomes.get(recipient) ?? missing(recipient.database))
    },
  }
}

async function deliverTo(
  database: MailDatabase | undefined,
  key: string,
  message: Buffer,
  recipients: readonly LocalRecipient[],
): Promise<readonly DeliveryOutcome[]> {
  try {
    return database ? await database.deliver({ deliveryKey: key, message, accountIds: recipients.map((r) => r.accountId) }) : []
  } catch (error) {
    return recipients.map(() => ({ kind: 'failed', error }))
  }
}

function byDatabaseName(recipients: readonly LocalRecipient[]): ReadonlyMap<string, readonly LocalRecipient[]> {
  const groups = new Map<string, LocalRecipient[]>()
  for (const recipient of recipients) {
    const group = groups.get(recipient.database)
    if (group) group.push(recipient)
    else groups.set(recipient.database, [recipient])
  }
  return groups
}

function missing(name: string): DeliveryOutcome {
  return { kind: 'failed', error: new Error(`database "${name}" is not mounted here`) }
}

/**
 * Asks all databases at once. The first that knows is the answer, so one that is held delays only what may be in it; "nobody knows"
 * needs the word of all.
 */
export function firstFound<D, T>(databases: readonly D[], ask: (database: D) => Promise<T | undefined>): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    let open = databases.length
    let failure: { readonly error: unknown } | undefined
    const end = () => {
      if (--open > 0) return
      if (failure) reject(failure.error)
      else resolve(undefined)
    }
    if (open === 0) resolve(undefined)
    for (const database of databases) {
      ask(database).then(
        (found) => (found === undefined ? end() : resolve(found)),
        (error: unknown) => {
          failure = { error }
          end()
        },
      )
    }
  })
}
