import { Readable } from 'node:stream'
import SMTPConnection from 'nodemailer/lib/smtp-connection'
import type { Claim, DueRecipient, Outcome } from './queue.ts'
import type { Hop } from './route.ts'

export interface AttemptOptions {
  /** Said in EHLO. */
  readonly name: string
  readonly port: number
  /** Certificates that are trusted beside the system's, PEM: where TLS is required. */
  readonly ca?: string | undefined
  readonly connectTimeoutMs: number
  /** Silence of the receiver; RFC 5321 §4.5.3.2 asks for up to 10 minutes after the content. */
  readonly replyTimeoutMs: number
}

export interface Transaction {
  readonly claim: Claim
  /** With the same DSN parameters. */
  readonly recipients: readonly DueRecipient[]
  readonly content: Buffer
  /** Called before the end of the content is sent, for those that the receiver has taken; false: it must not be sent. */
  readonly beginEnding: (numbers: readonly number[]) => Promise<boolean>
}

/** Q2: later than this after it was asked for, the end of the content is not sent. */
const endWithinMs = 5000
const lost = 'another attempt owns the recipients'

/** A transaction that was given up before the end of its content: another attempt owns the recipients. */
export class AttemptLost extends Error {}

interface SmtpFailure extends Error {
  readonly code?: string
  readonly command?: string
  readonly responseCode?: number
  readonly response?: string
  readonly rejectedErrors?: readonly (SmtpFailure & { readonly recipient?: string })[]
}

/** Tries the hops in turn until one has an answer that is about the message and not about that hop alone. */
export async function attempt(hops: readonly Hop[], transaction: Transaction, options: AttemptOptions): Promise<readonly Outcome[]> {
  let outcomes: readonly Outcome[] = []
  for (const hop of hops) {
    const result = await atHop(hop, transaction, options)
    outcomes = result.outcomes
    if (result.final) break
  }
  return outcomes
}

interface HopResult {
  readonly outcomes: readonly Outcome[]
  /** The next hop is not asked. */
  readonly final: boolean
}

async function atHop(hop: Hop, transaction: Transaction, options: AttemptOptions): Promise<HopResult> {
  const host = hop.host === hop.address ? `[${hop.address}]` : `${hop.host} [${hop.address}]`
  const { requireTls } = transaction.claim
  const connection = new SMTPConnection({
    host: hop.address,
    port: options.port,
    name: options.name,
    servername: hop.host,
    connectionTimeout: options.connectTimeoutMs,
    greetingTimeout: options.connectTimeoutMs,
    socketTimeout: options.replyTimeoutMs,
    requireTLS: requireTls,
    opportunisticTLS: !requireTls,
    tls: { rejectUnauthorized: requireTls, ...(options.ca === undefined ? {} : { ca: options.ca }) },
    logger: false,
  })
  try {
    await opened(connection)
  } catch (failure) {
    connection.close()
    // A receiver that refuses the session is asked again later: it is not the message that it refuses.
    return { outcomes: same(transaction, 'deferred', textOf(failure as SmtpFailure), host), final: false }
  }
  return sent(connection, transaction, host)
}

function opened(connection: SMTPConnection): Promise<void> {
  return new Promise((resolve, reject) => {
    connection.once('error', reject)
    connection.once('end', () => reject(new Error('the receiver closed the connection')))
    connection.connect((failure?: Error) => (failure ? reject(failure) : resolve()))
  })
}

async function sent(connection: SMTPConnection, transaction: Transaction, host: string): Promise<HopResult> {
  const { claim, recipients } = transaction
  const first = recipients[0]
  let ended = false
  const envelope = {
    from: claim.returnPath,
    to: recipients.map(({ address }) => address),
    size: transaction.content.length,
    use8BitMime: true,
    ...(claim.requireTls ? { requireTLSExtensionEnabled: true } : {}),
    dsn: {
      ...(claim.envid === null ? {} : { envid: claim.envid }),
      ...(claim.ret === null ? {} : { ret: claim.ret }),
      ...(first?.notify ? { notify: first.notify.length === 0 ? 'NEVER' : [...first.notify] } : {}),
      ...(first?.orcpt ? { orcpt: first.orcpt } : {}),
    },
  }
  const content = Readable.from(
    (async function* () {
      yield transaction.content
      const asked = performance.now()
      if (!(await transaction.beginEnding(recipients.map(({ number }) => number)))) throw new Error(lost)
      if (performance.now() - asked > endWithinMs) throw new Error('the end of the content was allowed too late')
      ended = true
    })(),
  )
  try {
    const info = await delivered(connection, envelope, content)
    connection.quit()
    return { outcomes: ofEach(transaction, info.response, host, info.rejectedErrors ?? []), final: true }
  } catch (thrown) {
    // Without QUIT: in the midst of a content it would be content.
    connection.close()
    return afterRefusal(thrown as SmtpFailure, transaction, { host, ended })
  }
}

function afterRefusal(failure: SmtpFailure, transaction: Transaction, given: { readonly host: string; readonly ended: boolean }): HopResult {
  const { host, ended } = given
  if (failure.message === lost) throw new AttemptLost()
  if (failure.rejectedErrors?.length) return { outcomes: ofEach(transaction, null, host, failure.rejectedErrors), final: true }
  if (isPermanent(failure)) return { outcomes: same(transaction, 'failed', textOf(failure), host), final: true }
  return { outcomes: same(transaction, 'deferred', textOf(failure), host), final: ended || failure.command === 'DATA' }
}

interface Sent {
  readonly response: string
  readonly rejectedErrors?: SmtpFailure['rejectedErrors']
}

function delivered(connection: SMTPConnection, envelope: object, content: Readable): Promise<Sent> {
  return new Promise((resolve, reject) => {
    connection.once('error', reject)
    connection.once('end', () => reject(new Error('the receiver closed the connection')))
    connection.send(envelope as never, content, (failure, info) => (failure ? reject(failure) : resolve(info as Sent)))
  })
}

const same = ({ recipients }: Transaction, state: Outcome['state'], reply: string, host: string): readonly Outcome[] =>
  recipients.map(({ number }) => ({ number, state, reply, host }))

/** @param response to the content; null when no recipient was taken */
function ofEach(
  { recipients }: Transaction,
  response: string | null,
  host: string,
  rejected: readonly (SmtpFailure & { readonly recipient?: string })[],
): readonly Outcome[] {
  return recipients.map(({ number, address }) => {
    const refusal = rejected.find(({ recipient }) => recipient === address)
    if (refusal) return { number, state: isPermanent(refusal) ? 'failed' : 'deferred', reply: textOf(refusal), host }
    if (response === null) return { number, state: 'deferred', reply: 'the receiver took no recipient', host }
    return { number, state: 'delivered', reply: response, host }
  })
}

/** EMESSAGE: larger than the receiver announces to take. EENVELOPE without a reply: an address that cannot be said in SMTP. */
const isPermanent = ({ responseCode, code }: SmtpFailure): boolean =>
  responseCode === undefined ? code === 'EMESSAGE' || code === 'EENVELOPE' : responseCode >= 500

const textOf = (failure: SmtpFailure): string => (failure.response ?? failure.message).replace(/\s+/g, ' ').slice(0, 500)
