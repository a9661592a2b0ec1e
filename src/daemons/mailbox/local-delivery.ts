import { signatures } from '../../authenticity/signing.ts'
import { signingKeys } from '../../authenticity/signing-keys.ts'
import { returnPathHeader } from '../../smtp/trace.ts'
import type { DeliveryOutcome, DeliveryRequest, LocalDelivery, LocalRecipient, Recipient } from '../../smtp/delivery.ts'
import type { NewRecipient } from '../../queue/queue.ts'
import type { MailDatabase } from './mail-database.ts'

/** Delivery into the databases of one server, and into their queues. */
export function localDelivery(server: string, databases: () => readonly MailDatabase[]): LocalDelivery {
  const findRecipient = (address: string) =>
    firstFound(databases(), async (database) => {
      const found = await database.findRecipient(address)
      return found && { address, accountId: found.accountId, database: database.name, filtered: found.filtered }
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
    isLocalDomain: async (domain) => (await firstFound(databases(), async (database) => ((await database.hasDomain(domain)) ? true : undefined))) ?? false,
    authenticate: (username, password) =>
      firstFound(databases(), async (database) => {
        const found = await database.authenticate(username, password)
        return found && { ...found, database: database.name }
      }),
    async sign(domain, message) {
      const keys = await firstFound(databases(), async ({ mount }) => {
        const found = await signingKeys(mount).of(domain)
        return found.length === 0 ? undefined : found
      })
      return keys === undefined ? '' : signatures(message, keys, new Date())
    },
    async deliver(request) {
      const outcomes = new Map<Recipient, DeliveryOutcome>()
      await Promise.all(
        [...byDatabaseName(request.recipients)].map(async ([name, recipients]) => {
          const database = databases().find((each) => each.name === name)
          const results = database ? await deliverTo(server, database, request, recipients) : []
          for (const [i, recipient] of recipients.entries()) outcomes.set(recipient, results[i] ?? missing(name))
        }),
      )
      return request.recipients.map((recipient) => outcomes.get(recipient) ?? missing(recipient.database))
    },
  }
}

async function deliverTo(
  server: string,
  database: MailDatabase,
  request: DeliveryRequest,
  recipients: readonly Recipient[],
): Promise<readonly DeliveryOutcome[]> {
  const remote = recipients.filter(({ accountId }) => accountId === undefined)
  const local = recipients.filter((recipient): recipient is LocalRecipient => recipient.accountId !== undefined)
  const message = local.length === 0 ? request.message : Buffer.concat([Buffer.from(returnPathHeader(request.from)), request.message])
  const { deliveryKey, from } = request
  const filtered = local.filter((recipient) => recipient.filtered)
  const plain = local.filter((recipient) => !recipient.filtered)
  const outcomes = new Map<Recipient, DeliveryOutcome>()
  const settle = async (those: readonly Recipient[], work: () => Promise<readonly DeliveryOutcome[]>) => {
    const results = those.length === 0 ? [] : await work().catch((error: unknown) => those.map((): DeliveryOutcome => ({ kind: 'failed', error })))
    for (const [i, recipient] of those.entries()) outcomes.set(recipient, results[i] ?? missing(recipient.database))
  }
  await Promise.all([
    settle(plain, () => database.deliver({ deliveryKey, message, accountIds: plain.map(({ accountId }) => accountId) })),
    settle(remote, async () => {
      const outcome = await queue(database, request, remote)
      return remote.map(() => outcome)
    }),
    ...filtered.map((recipient) =>
      settle([recipient], async () => {
        const { accountId, address: to } = recipient
        return [await database.filter({ accountId, server, from, to, message, content: request.message, deliveryKey, canRefuse: request.repliesForEach })]
      }),
    ),
  ])
  return recipients.map((recipient) => outcomes.get(recipient) ?? missing(recipient.database))
}

async function queue(database: MailDatabase, request: DeliveryRequest, remote: readonly Recipient[]): Promise<DeliveryOutcome> {
  const { mail } = request
  await database.enqueue({
    key: request.deliveryKey,
    returnPath: request.from,
    content: request.message,
    recipients: remote.map((recipient) => queuedRecipient(recipient, request)),
    envid: mail.envid,
    ret: mail.ret,
    requireTls: mail.requireTls,
  })
  return { kind: 'queued' }
}

function queuedRecipient(recipient: Recipient, { recipients, recipientParameters }: DeliveryRequest): NewRecipient {
  const { notify, orcpt } = recipientParameters[recipients.indexOf(recipient)] ?? {}
  return {
    address: recipient.address,
    notify: notify?.filter((each) => each !== 'NEVER'),
    orcpt: orcpt && `${orcpt.type};${orcpt.address}`,
  }
}

function byDatabaseName(recipients: readonly Recipient[]): ReadonlyMap<string, readonly Recipient[]> {
  const groups = new Map<string, Recipient[]>()
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
