import { lookupForm } from './address.ts'
import type { Content } from './content.ts'
import { withoutForgedResults } from './forged-results.ts'
import type { DeliveryOutcome } from './delivery.ts'
import { deliveryKey } from './delivery-key.ts'
import { type Reply, refusals, replyTo } from './reply.ts'
import { authorDomain, missingFields } from './submission-fields.ts'
import type { Surroundings } from './surroundings.ts'
import { countReceived, receivedHeader, transmissionKeyword } from './trace.ts'
import type { Client, Transaction } from './transaction.ts'

/**
 * Takes the content of a transaction or refuses it: replies one per recipient. Nothing is said before the store's promise has
 * resolved: 250 means committed on every in-sync copy.
 * @throws Refusal of the whole
 */
export async function acceptContent(surroundings: Surroundings, client: Client, transaction: Transaction, collected: Content): Promise<readonly Reply[]> {
  const { delivery, limits } = surroundings
  if (collected.tooBig) throw refusals.tooBig(limits.messageBytesMax)
  const content = collected.bytes()
  const hops = countReceived(content)
  if (hops > limits.hopsMax) throw refusals.loop(hops)

  const { from, mail } = transaction
  const recipients = transaction.recipients.map(({ recipient }) => recipient)
  const key = deliveryKey({ sessionId: client.sessionId, transaction: transaction.number, envid: mail.envid, from: lookupForm(from), content })
  const id = `${client.sessionId}-${transaction.number}`
  const message = await asDelivered(surroundings, client, transaction, { id, content })
  const outcomes = await delivery.deliver({
    deliveryKey: key,
    from: from.address,
    message,
    recipients,
    mail,
    recipientParameters: transaction.recipients.map(({ parameters }) => parameters),
    repliesForEach: surroundings.role === 'lmtp' || recipients.length === 1,
  })
  return outcomes.map((outcome, i) => replyOf(surroundings, outcome, { id, from: from.address, to: recipients[i]?.address, bytes: content.length }))
}

interface Accepted {
  readonly id: string
  readonly content: Buffer
}

/** What has been received, below what we have to say about it. @throws Refusal */
async function asDelivered(surroundings: Surroundings, client: Client, transaction: Transaction, accepted: Accepted): Promise<Buffer> {
  const received = receivedLines(surroundings, client, transaction, accepted.id)
  if (surroundings.role === 'submission') return completed(surroundings, client, transaction, accepted, received)
  if (surroundings.verify === undefined || surroundings.role === 'lmtp') return Buffer.concat([Buffer.from(received), accepted.content])
  const content = withoutForgedResults(accepted.content, surroundings.name)
  const { header, refusal } = await surroundings.verify({
    remoteAddress: client.remoteAddress,
    helo: client.hello.name,
    from: transaction.from.address,
    content,
  })
  if (refusal) throw refusal.certain ? refusals.refusedByDomain(refusal.domain) : refusals.unproven(refusal.domain)
  return Buffer.concat([Buffer.from(received + header), content])
}

/** A message of a person has the fields that it must have, and is signed in the name of the domain that it says it is from. */
async function completed(surroundings: Surroundings, client: Client, transaction: Transaction, { id, content }: Accepted, received: string): Promise<Buffer> {
  const { name, delivery } = surroundings
  const own = client.submitter?.address.split('@').at(-1)
  const added = missingFields(content, { at: surroundings.now(), id, domain: name.includes('.') ? name : (own ?? name) })
  const message = Buffer.concat([Buffer.from(added), content])
  const domain = authorDomain(message)
  const mayName = [own, transaction.from.domain].some((each) => each !== undefined && each.toLowerCase() === domain)
  const signature = domain !== undefined && mayName ? await delivery.sign(domain, message) : ''
  return Buffer.concat([Buffer.from(received + signature), message])
}

function receivedLines({ role, name, now }: Surroundings, client: Client, { recipients, mail }: Transaction, id: string): string {
  const [first, second] = recipients
  return receivedHeader({
    helo: client.hello.name,
    remoteAddress: client.remoteAddress,
    by: name,
    with: transmissionKeyword({
      protocol: role === 'lmtp' ? 'LMTP' : 'SMTP',
      extended: client.hello.verb !== 'HELO',
      tls: client.tls !== undefined,
      authenticated: client.submitter !== undefined,
      smtpUtf8: mail.smtpUtf8,
    }),
    id,
    at: now(),
    ...(first && !second ? { for: first.recipient.address } : {}),
    ...(client.tls === undefined ? {} : { cipher: client.tls }),
  })
}

function replyOf({ log, role }: Surroundings, outcome: DeliveryOutcome, fields: { readonly id: string; readonly [name: string]: unknown }): Reply {
  if (outcome.kind === 'failed') return replyTo(outcome.error, (error, message) => log.error({ role, ...fields, ...error }, message))
  log.info({ role, ...fields }, `smtp: ${outcome.kind}`)
  if (outcome.kind === 'refused') return refusals.refusedByScript(outcome.reason).reply
  return { code: 250, enhanced: '2.0.0', text: `${outcome.kind === 'delivered' ? 'Delivered' : 'Queued'} (id ${fields.id})` }
}
