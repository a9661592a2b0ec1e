import { lookupForm } from './address.ts'
import type { Content } from './content.ts'
import type { DeliveryOutcome } from './delivery.ts'
import { deliveryKey } from './delivery-key.ts'
import { type Reply, refusals, replyTo } from './reply.ts'
import { missingFields } from './submission-fields.ts'
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
  const head = Buffer.from(headOf(surroundings, client, transaction, { id, content }))
  const outcomes = await delivery.deliver({
    deliveryKey: key,
    from: from.address,
    message: Buffer.concat([head, content]),
    recipients,
    mail,
    recipientParameters: transaction.recipients.map(({ parameters }) => parameters),
    repliesForEach: surroundings.role === 'lmtp' || recipients.length === 1,
  })
  return outcomes.map((outcome, i) => replyOf(surroundings, outcome, { id, from: from.address, to: recipients[i]?.address, bytes: content.length }))
}

function headOf(surroundings: Surroundings, client: Client, transaction: Transaction, message: { readonly id: string; readonly content: Buffer }): string {
  const { role, name } = surroundings
  const [first, second] = transaction.recipients
  const at = surroundings.now()
  const received = receivedHeader({
    helo: client.hello.name,
    remoteAddress: client.remoteAddress,
    by: name,
    with: transmissionKeyword({
      protocol: role === 'lmtp' ? 'LMTP' : 'SMTP',
      extended: client.hello.verb !== 'HELO',
      tls: client.tls !== undefined,
      authenticated: client.submitter !== undefined,
      smtpUtf8: transaction.mail.smtpUtf8,
    }),
    id: message.id,
    at,
    ...(first && !second ? { for: first.recipient.address } : {}),
    ...(client.tls === undefined ? {} : { cipher: client.tls }),
  })
  const domain = name.includes('.') ? name : (client.submitter?.address.split('@').at(-1) ?? name)
  const added = role === 'submission' ? missingFields(message.content, { at, id: message.id, domain }) : ''
  return received + added
}

function replyOf({ log, role }: Surroundings, outcome: DeliveryOutcome, fields: { readonly id: string; readonly [name: string]: unknown }): Reply {
  if (outcome.kind === 'failed') return replyTo(outcome.error, (error, message) => log.error({ role, ...fields, ...error }, message))
  log.info({ role, ...fields }, `smtp: ${outcome.kind}`)
  if (outcome.kind === 'refused') return refusals.refusedByScript(outcome.reason).reply
  return { code: 250, enhanced: '2.0.0', text: `${outcome.kind === 'delivered' ? 'Delivered' : 'Queued'} (id ${fields.id})` }
}
