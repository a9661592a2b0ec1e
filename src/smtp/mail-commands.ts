import { acceptContent } from './acceptance.ts'
import { lookupForm, type Path, readPath } from './address.ts'
import { type Command, done, requireNoArgument } from './command.ts'
import { Content, readChunk, readDotStuffed } from './content.ts'
import type { Recipient } from './delivery.ts'
import { type MailParameters, readMailParameters, readRecipientParameters, requireAscii } from './parameters.ts'
import { type Reply, refusals, worstOf } from './reply.ts'
import type { Session, SessionState } from './session.ts'
import type { Transaction } from './transaction.ts'

const mail: Command = {
  needs: 'hello',
  beforeLogin: 'refused',
  async run(session, argument) {
    const { surroundings, state } = session
    if (state.kind !== 'greeted') throw refusals.outOfSequence('A transaction is open already')
    const read = readPathArgument('FROM', argument)
    if (!read || (read.path.domain === '' && read.path.address !== '')) throw refusals.badSender()
    const { path: from, rest } = read
    const parameters = readMailParameters(rest, { auth: surroundings.role === 'submission', requireTls: session.secure })
    requireAscii(from, parameters)
    if ((parameters.sizeBytes ?? 0) > surroundings.limits.messageBytesMax) throw refusals.tooBig(surroundings.limits.messageBytesMax)
    await requireOwnAddress(session, from)
    const number = session.nextTransaction()
    const transaction: Transaction = { number, from, mail: parameters, recipients: [], recipientsOffered: false, chunks: { kind: 'none' } }
    session.state = { kind: 'mail', hello: state.hello, transaction }
    return done('2.1.0', 'Accepted')
  },
}

/** RFC 6409 §6.1: nobody sends in another's name. The null path is for read receipts. */
async function requireOwnAddress({ surroundings, submitter }: Session, from: Path): Promise<void> {
  if (surroundings.role !== 'submission' || from.address === '') return
  const owner = await surroundings.delivery.findRecipient(lookupForm(from))
  if (owner?.accountId !== submitter?.accountId) throw refusals.foreignSender(from.address)
}

const rcpt: Command = {
  needs: 'mail',
  beforeLogin: 'refused',
  async run(session, argument) {
    const { limits } = session.surroundings
    const transaction = openTransaction(session.state)
    if (transaction.chunks.kind !== 'none') throw refusals.outOfSequence('The content has begun')
    const read = readPathArgument('TO', argument)
    if (!read || read.path.address === '') throw refusals.badRecipient()
    const parameters = readRecipientParameters(read.rest)
    requireAscii(read.path, transaction.mail)
    transaction.recipientsOffered = true
    if (transaction.recipients.length >= limits.recipientsMax) throw refusals.tooManyRecipients(limits.recipientsMax)
    transaction.recipients.push({ recipient: await findRecipient(session, read.path, transaction.mail), parameters })
    return done('2.1.5', 'Accepted')
  },
}

/** Only people who have logged in may have their mail sent on to other servers. */
async function findRecipient({ surroundings, submitter }: Session, path: Path, { body }: MailParameters): Promise<Recipient> {
  const { delivery } = surroundings
  const found = path.domain === '' ? await delivery.findPostmaster() : await delivery.findRecipient(lookupForm(path))
  if (found) return { ...found, address: path.address }
  const isElsewhere = path.domain !== '' && !(await delivery.isLocalDomain(domainOf(lookupForm(path))))
  if (!isElsewhere) throw refusals.unknownRecipient(path.address)
  if (submitter === undefined) throw refusals.relayDenied(path.address)
  // RFC 3030 §3: a receiver that knows no BINARYMIME must not be given any, and to convert it would break signatures.
  if (body === 'BINARYMIME') throw refusals.binaryElsewhere(path.address)
  return { address: path.address, database: submitter.database }
}

const domainOf = (address: string): string => address.slice(address.lastIndexOf('@') + 1)

const data: Command = {
  needs: 'mail',
  beforeLogin: 'refused',
  async run(session, argument) {
    requireNoArgument('DATA', argument)
    const transaction = openTransaction(session.state)
    if (transaction.chunks.kind !== 'none') throw refusals.outOfSequence('BDAT has begun; DATA does not go with it')
    if (transaction.mail.body === 'BINARYMIME') throw refusals.outOfSequence('BODY=BINARYMIME goes with BDAT only')
    requireRecipients(session, transaction)
    session.say({ code: 354, text: 'End data with <CR><LF>.<CR><LF>' })
    const content = new Content(session.surroundings.limits.messageBytesMax)
    await readDotStuffed(session.input, content)
    return finish(session, content)
  },
}

/** RFC 3030 §2: the octets are read in any case, and dropped when the chunk is refused. */
const bdat: Command = {
  needs: 'nothing',
  beforeLogin: 'allowed',
  async run(session, argument) {
    const [, digits, last] = /^(\d{1,15})(?: +(LAST))?$/i.exec(argument) ?? []
    if (digits === undefined) throw refusals.badChunk()
    const octets = Number(digits)
    let content: Content
    try {
      content = contentOfChunks(session)
    } catch (refusal) {
      await readChunk(session.input, octets, undefined)
      throw refusal
    }
    await readChunk(session.input, octets, content)
    if (last !== undefined) return finish(session, content)
    if (!content.tooBig) return done('2.0.0', `${octets} octets received`)
    openTransaction(session.state).chunks = { kind: 'failed' }
    throw refusals.tooBig(session.surroundings.limits.messageBytesMax)
  },
}

/** @throws Refusal when no chunk may come now */
function contentOfChunks(session: Session): Content {
  const transaction = openTransaction(session.state)
  switch (transaction.chunks.kind) {
    case 'failed':
      throw refusals.outOfSequence('A chunk has failed, RSET is needed')
    case 'some':
      return transaction.chunks.content
    case 'none': {
      requireRecipients(session, transaction)
      const content = new Content(session.surroundings.limits.messageBytesMax)
      transaction.chunks = { kind: 'some', content }
      return content
    }
  }
}

/** The transaction is over, whatever the reply. RFC 2033 §4.2: LMTP has one reply for each recipient. */
async function finish(session: Session, content: Content): Promise<readonly Reply[]> {
  const { state, surroundings } = session
  const transaction = openTransaction(state)
  session.reset()
  const replies = await acceptContent(surroundings, session.client(), transaction, content).catch((error: unknown) => {
    const reply = session.replyTo(error)
    return transaction.recipients.map(() => reply)
  })
  return surroundings.role === 'lmtp' ? replies : [worstOf(replies)]
}

function openTransaction(state: SessionState): Transaction {
  if (state.kind !== 'mail') throw refusals.outOfSequence('MAIL first')
  return state.transaction
}

/** RFC 5321 §3.3; RFC 2033 §4.2 asks for 503. */
function requireRecipients({ surroundings }: Session, transaction: Transaction): void {
  if (transaction.recipients.length > 0) return
  throw transaction.recipientsOffered && surroundings.role !== 'lmtp' ? refusals.noRecipients() : refusals.outOfSequence('RCPT first')
}

/** Space after the colon is against RFC 5321 §3.3, but too common to be refused. */
function readPathArgument(keyword: 'FROM' | 'TO', argument: string): ReturnType<typeof readPath> {
  const [before] = new RegExp(`^${keyword}:[ \\t]*`, 'i').exec(argument) ?? []
  const read = before === undefined ? undefined : readPath(argument.slice(before.length))
  return read && /^(?: |$)/.test(read.rest) ? read : undefined
}

export const mailCommands: Readonly<Record<string, Command>> = { MAIL: mail, RCPT: rcpt, DATA: data, BDAT: bdat }
