import type { Socket } from 'node:net'
import type { SecureContextOptions } from 'node:tls'
import { SMTPServer, type SMTPServerAddress, type SMTPServerDataStream, type SMTPServerOptions, type SMTPServerSession } from 'smtp-server'
import { Connection } from './connection.ts'
import { countReceived, receivedHeader, returnPathHeader, transmissionKeyword } from './trace.ts'
import { deliveryKey, readContent } from './data.ts'
import type { DeliveryOutcome, LocalDelivery, LocalRecipient, Submitter } from './delivery.ts'
import { asReplyError, type Reply, refusals, replyTo } from './reply.ts'

/** `smtp`: from other servers, for local recipients. `submission`: from people, who log in (RFC 6409). `lmtp`: RFC 2033. */
export type SmtpRole = 'smtp' | 'submission' | 'lmtp'

export interface SmtpLog {
  info(fields: object, message: string): void
  error(fields: object, message: string): void
}

export interface SmtpListenerOptions {
  readonly role: SmtpRole
  /** The virtual name of the clustered mailbox server: greeting and Received lines. */
  readonly name: string
  readonly delivery: LocalDelivery
  readonly log: SmtpLog
  readonly tls?: SecureContextOptions
  readonly messageBytesMax?: number
  readonly recipientsMax?: number
  readonly sessionsMax?: number
  /** AUTH without TLS, for loopback and tests. */
  readonly clearTextLogin?: 'refused' | 'allowed'
  readonly now?: () => Date
}

/** Speaks on sockets that are given to it; who accepts them, and on which address, is the daemon's business. */
export interface SmtpListener {
  attach(socket: Socket): void
  /** Ends each session after the command that runs; resolves when the last is gone or `graceMs` has passed. */
  drain(graceMs?: number): Promise<void>
  close(): void
  sessionCount(): number
}

const defaults = { messageBytesMax: 50 * 1024 * 1024, recipientsMax: 1000, hopsMax: 50, drainGraceMs: 5000, idleMs: 5 * 60_000 } as const
const disabledAlways = ['WIZ', 'SHELL', 'KILL', 'XCLIENT', 'XFORWARD']

export function createSmtpListener(options: SmtpListenerOptions): SmtpListener {
  const server = new SMTPServer(serverOptions(options))
  // An error of one session is that session's end, nothing more.
  server.on('error', (err) => options.log.info({ role: options.role, err }, 'smtp: session ended with an error'))
  const connections = new Set<Connection>()
  let whenEmpty: (() => void) | undefined

  return {
    attach(socket) {
      const connection = new Connection(server, socket)
      connections.add(connection)
      server.connections.add(connection)
      connection.on('error', (error: unknown) => server.emit('error', error instanceof Error ? error : new Error(String(error))))
      connection.whenClosed = () => {
        connections.delete(connection)
        if (connections.size === 0) whenEmpty?.()
      }
      connection.init()
    },
    async drain(graceMs = defaults.drainGraceMs) {
      if (connections.size === 0) return
      const empty = new Promise<void>((resolve) => {
        whenEmpty = resolve
      })
      for (const connection of connections) connection.drain()
      const { promise: late, cancel } = timer(graceMs)
      await Promise.race([empty, late])
      cancel()
      this.close()
    },
    close() {
      for (const connection of connections) connection._socket.destroy()
    },
    sessionCount: () => connections.size,
  }
}

function serverOptions(options: SmtpListenerOptions): SMTPServerOptions {
  const { role } = options
  const disabledCommands = [...disabledAlways, ...(role === 'submission' ? [] : ['AUTH']), ...(options.tls ? [] : ['STARTTLS'])]
  const session = new SessionRules(options)
  // RFC 4954 §4: AUTH with a clear-text mechanism is not even offered before TLS protects it.
  const authAfterTls = role === 'submission' && options.tls !== undefined && options.clearTextLogin !== 'allowed'
  return {
    onConnect: (smtp, callback) => {
      if (authAfterTls) smtp.disabledCommands = [...disabledCommands, 'AUTH']
      callback()
    },
    onSecure: (_socket, smtp, callback) => {
      smtp.disabledCommands = disabledCommands
      callback()
    },
    name: options.name,
    banner: 'Handoff',
    lmtp: role === 'lmtp',
    ...options.tls,
    disabledCommands,
    authMethods: ['PLAIN', 'LOGIN'],
    allowInsecureAuth: options.clearTextLogin === 'allowed',
    hideENHANCEDSTATUSCODES: false,
    // RFC 3461 is not announced before there is an outbound queue to send notifications with; its parameters are understood.
    hideDSN: true,
    size: options.messageBytesMax ?? defaults.messageBytesMax,
    maxRecipients: options.recipientsMax ?? defaults.recipientsMax,
    ...(options.sessionsMax === undefined ? {} : { maxClients: options.sessionsMax }),
    socketTimeout: defaults.idleMs,
    disableReverseLookup: true,
    logger: false,
    onAuth: (auth, _session, callback) => {
      session.authenticate(auth.username ?? '', auth.password ?? '').then(
        (user) => callback(null, { user }),
        (error: unknown) => callback(session.refuse(error)),
      )
    },
    onMailFrom: (address, smtp, callback) =>
      void session.mailFrom(address, smtp).then(
        () => callback(),
        (error: unknown) => callback(session.refuse(error)),
      ),
    onRcptTo: (address, smtp, callback) =>
      void session.rcptTo(address, smtp).then(
        () => callback(),
        (error: unknown) => callback(session.refuse(error)),
      ),
    onData: (stream, smtp, callback) =>
      void session.data(stream, smtp).then(
        (replies) => {
          if (role === 'lmtp')
            return callback(
              null,
              replies.map((r) => (r.code < 400 ? `${r.enhanced} ${r.text}` : asReplyError(r))),
            )
          const worst = worstOf(replies)
          return worst.code < 400 ? callback(null, `${worst.enhanced} ${worst.text}`) : callback(asReplyError(worst))
        },
        (error: unknown) => callback(session.refuse(error)),
      ),
  }
}

/** What is allowed in a session of this role. Sessions keep nothing here but what hangs on the library's own objects. */
class SessionRules {
  readonly #options: SmtpListenerOptions
  readonly #recipients = new WeakMap<SMTPServerAddress, LocalRecipient>()
  readonly #now: () => Date

  constructor(options: SmtpListenerOptions) {
    this.#options = options
    this.#now = options.now ?? (() => new Date())
  }

  refuse(error: unknown): Error {
    return asReplyError(replyTo(error, (fields, message) => this.#options.log.error({ role: this.#options.role, ...fields }, message)))
  }

  async authenticate(username: string, password: string): Promise<Submitter> {
    const submitter = await this.#options.delivery.authenticate(username, password)
    if (!submitter) throw refusals.badCredentials()
    return submitter
  }

  async mailFrom(address: SMTPServerAddress, session: SMTPServerSession): Promise<void> {
    if (this.#options.role !== 'submission') return
    const user = session.user as Submitter | undefined
    if (!user) throw refusals.authenticationRequired()
    // RFC 6409 §6.1: nobody sends in another's name. The null sender is for read receipts.
    if (address.address === '') return
    const owner = await this.#options.delivery.findRecipient(address.address)
    if (owner?.accountId !== user.accountId) throw refusals.foreignSender(address.address)
  }

  async rcptTo(address: SMTPServerAddress, session: SMTPServerSession): Promise<void> {
    const { role, delivery, name } = this.#options
    // RFC 5321 §4.5.1: postmaster without a domain is this server's.
    const wanted = address.address.includes('@') ? address.address : `${address.address}@${name}`
    const recipient = await delivery.findRecipient(wanted)
    if (!recipient) throw role === 'submission' && session.user ? refusals.relayDenied(address.address) : refusals.unknownRecipient(address.address)
    this.#recipients.set(address, recipient)
  }

  /** Replies one per recipient. Nothing is said before the store's promise has resolved: 250 means committed on every in-sync copy. */
  async data(stream: SMTPServerDataStream, session: SMTPServerSession): Promise<readonly Reply[]> {
    const { envelope } = session
    const content = await readContent(stream, this.#options.messageBytesMax ?? defaults.messageBytesMax)
    const hops = countReceived(content)
    if (hops > defaults.hopsMax) throw refusals.loop(hops)
    const from = envelope.mailFrom === false ? '' : envelope.mailFrom.address
    const recipients = envelope.rcptTo.map((address) => this.#recipients.get(address)).filter((r) => r !== undefined)
    const envid = envelope.mailFrom !== false && envelope.mailFrom.args !== false ? envelope.mailFrom.args.ENVID : undefined
    const id = `${session.id}.${session.transaction}`
    const head = returnPathHeader(from) + this.#received(session, id, recipients)
    const key = deliveryKey({ sessionId: session.id, transaction: session.transaction, envid: envid === true ? undefined : envid, from, content })
    const outcomes = await this.#options.delivery.deliver({ deliveryKey: key, from, message: Buffer.concat([Buffer.from(head), content]), recipients })
    return outcomes.map((outcome, i) => this.#reply(outcome, { id, from, to: recipients[i]?.address, bytes: content.length }))
  }

  #received(session: SMTPServerSession, id: string, recipients: readonly LocalRecipient[]): string {
    const only = recipients.length === 1 ? recipients[0] : undefined
    const keyword = transmissionKeyword({
      protocol: this.#options.role === 'lmtp' ? 'LMTP' : 'SMTP',
      extended: session.openingCommand !== 'HELO',
      tls: session.secure,
      authenticated: Boolean(session.user),
      smtpUtf8: session.envelope.smtpUtf8 === true,
    })
    return receivedHeader({
      helo: session.hostNameAppearsAs,
      remoteAddress: session.remoteAddress,
      by: this.#options.name,
      with: keyword,
      id,
      at: this.#now(),
      ...(only ? { for: only.address } : {}),
      ...(session.tlsOptions ? { cipher: `${session.tlsOptions.version} ${session.tlsOptions.name}` } : {}),
    })
  }

  #reply(outcome: DeliveryOutcome, fields: object): Reply {
    const { log, role } = this.#options
    if (outcome.kind === 'failed') return replyTo(outcome.error, (error, message) => log.error({ role, ...fields, ...error }, message))
    log.info({ role, ...fields }, 'smtp: delivered')
    return { code: 250, enhanced: '2.0.0', text: `Delivered (id ${'id' in fields ? String(fields.id) : ''})` }
  }
}

/**
 * SMTP has one reply for all recipients: the worst. A temporary failure wins over a permanent one, since it makes the sender keep
 * the message; who has it already gets it again (SMTP is at-least-once).
 */
export function worstOf(replies: readonly Reply[]): Reply {
  const rank = (r: Reply) => (r.code < 400 ? 0 : r.code >= 500 ? 1 : 2)
  return replies.reduce((worst, r) => (rank(r) > rank(worst) ? r : worst))
}

function timer(ms: number): { readonly promise: Promise<void>; readonly cancel: () => void } {
  let handle: NodeJS.Timeout | undefined
  const promise = new Promise<void>((resolve) => {
    handle = setTimeout(resolve, ms)
  })
  return { promise, cancel: () => clearTimeout(handle) }
}
