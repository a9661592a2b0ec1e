import { returnPathHeader } from '../../smtp/trace.ts'
import type { DeliveryOutcome, DeliveryRequest, LocalDelivery, Recipient } from '../../smtp/delivery.ts'
import type { NewRecipient } from '../../queue/queue.ts'
import type { MailDatabase } from './mail-database.ts'

/** Delivery into the databases of one server, and into their queues. */
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
    isLocalDomain: async (domain) => (await firstFound(databases(), async (database) => ((await database.hasDomain(domain)) ? true : undefined))) ?? false,
    authenticate: (username, password) =>
      firstFound(databases(), async (database) => {
        const found = await database.authenticate(username, password)
        return found && { ...found, database: database.name }
      }),
    async deliver(request) {
      const outcomes = new Map<Recipient, DeliveryOutcome>()
      await Promise.all(
        [...byDatabaseName(request.recipients)].map(async ([name, recipients]) => {
          const database = databases().find((each) => each.name === name)
          const results = database ? await deliverTo(database, request, recipients) : []
          for (const [i, recipient] of recipients.entries()) outcomes.set(recipient, results[i] ?? missing(name))
        }),
      )
      return request.recipients.map((recipient) => outcomes.get(recipient) ?? missing(recipient.database))
    },
  }
}

async function deliverTo(database: MailDatabase, request: DeliveryRequest, recipients: readonly Recipient[]): Promise<readonly DeliveryOutcome[]> {
  const here = recipients.flatMap(({ accountId }) => accountId ?? [])
  const [delivered, queued] = await Promise.all([
    here.length === 0 ? [] : allOrNone(here.length, () => deliverHere(database, request, here)),
    here.length === recipients.length ? [] : allOrNone(1, async () => [await queue(database, request, recipients)]),
  ])
  let next = 0
  return recipients.map(({ accountId, database: name }) => (accountId === undefined ? queued[0] : delivered[next++]) ?? missing(name))
}

function deliverHere(database: MailDatabase, request: DeliveryRequest, accountIds: readonly string[]): Promise<readonly DeliveryOutcome[]> {
  const message = Buffer.concat([Buffer.from(returnPathHeader(request.from)), request.message])
  return database.deliver({ deliveryKey: request.deliveryKey, message, accountIds })
}

async function queue(database: MailDatabase, request: DeliveryRequest, recipients: readonly Recipient[]): Promise<DeliveryOutcome> {
  const { mail } = request
  await database.enqueue({
    key: request.deliveryKey,
    returnPath: request.from,
    content: request.message,
    recipients: request.recipients.flatMap((recipient, i) => (recipients.includes(recipient) && recipient.accountId === undefined ? [remote(request, i)] : [])),
    envid: mail.envid,
    ret: mail.ret,
    requireTls: mail.requireTls,
  })
  return { kind: 'queued' }
}

function remote({ recipients, recipientParameters }: DeliveryRequest, i: number): NewRecipient {
  const { notify, orcpt } = recipientParameters[i] ?? {}
  return {
    address: recipients[i]?.address ?? '',
    notify: notify?.filter((each) => each !== 'NEVER'),
    orcpt: orcpt && `${orcpt.type};${orcpt.address}`,
  }
}

async function allOrNone(count: number, work: () => Promise<readonly DeliveryOutcome[]>): Promise<readonly DeliveryOutcome[]> {
  try {
    return await work()
  } catch (error) {
    return Array.from({ length: count }, () => ({ kind: 'failed', error }))
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
