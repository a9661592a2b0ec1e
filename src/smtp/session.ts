import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { anyLineBytesMax, readCommandLine } from './command-line.ts'
import { permitted } from './commands.ts'
import type { Submitter } from './delivery.ts'
import { Input, InputEnd } from './input.ts'
import { Output } from './output.ts'
import { Refusal, type Reply, refusals, replyTo } from './reply.ts'
import type { Surroundings } from './surroundings.ts'
import type { Client, Hello, Transaction } from './transaction.ts'

const highWaterBytes = 64 * 1024
const skippedBytesMax = 64 * 1024
const lastWordsMs = 2000

/** RFC 5321 §4.1.4: what has been said decides what may be said next. */
export type SessionState =
  | { readonly kind: 'new' }
  | { readonly kind: 'greeted'; readonly hello: Hello }
  | { readonly kind: 'mail'; readonly hello: Hello; readonly transaction: Transaction }

/** One connection. Its commands run one after the other; whatever goes wrong in it ends it at most, and nothing else. */
export class Session {
  readonly surroundings: Surroundings
  readonly input: Input
  state: SessionState = { kind: 'new' }
  submitter: Submitter | undefined
  failedLogins = 0
  #socket: Socket
  #tls: TLSSocket | undefined
  readonly #output: Output
  readonly #remoteAddress: string
  readonly #id = randomBytes(10).toString('hex')
  #transactions = 0
  #errors = 0
  #busy = false
  #draining = false
  #ended = false

  constructor(socket: Socket, surroundings: Surroundings) {
    this.surroundings = surroundings
    this.#remoteAddress = socket.remoteAddress ?? '0.0.0.0'
    this.#socket = socket
    const { silenceMsMax } = surroundings.limits
    this.input = new Input({ highWaterBytes, skippedBytesMax, silenceMsMax, onLow: () => this.#socket.resume() })
    this.#output = new Output(socket, { stalledMs: silenceMsMax })
  }

  get secure(): boolean {
    return this.#tls !== undefined
  }

  get mayStartTls(): boolean {
    return this.surroundings.secureContext !== undefined && !this.secure
  }

  /** RFC 4954 §4: no password in clear text, unless that is allowed. */
  get mayLogin(): boolean {
    return this.secure || this.surroundings.clearTextLogin === 'allowed'
  }

  async run(): Promise<void> {
    try {
      if (this.surroundings.tlsMode === 'implicit') this.#encrypt()
      else this.#listen(this.#socket)
      this.say({ code: 220, text: `${this.surroundings.name} ${this.surroundings.role === 'lmtp' ? 'LMTP' : 'ESMTP'} Handoff` })
      while (!this.#ended) await this.#oneCommand()
    } catch (error) {
      this.#endWith(error)
    } finally {
      this.#close()
    }
  }

  /** Lets the command that runs finish (a message in transfer is answered), then says 421 and closes (RFC 5321 §3.8). */
  drain(): void {
    this.#draining = true
    if (!this.#busy) this.input.interrupt()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  say(reply: Reply): void {
    this.#output.say(reply)
  }

  /** Ends the session after what has been said. */
  end(): void {
    this.#ended = true
  }

  /** What the client said of itself and proved. */
  client(): Client {
    const tls = this.#tls && `${this.#tls.getProtocol()} ${this.#tls.getCipher().name}`
    const hello: Hello = this.state.kind === 'new' ? { verb: 'HELO', name: 'unknown' } : this.state.hello
    return { sessionId: this.#id, remoteAddress: this.#remoteAddress, hello, submitter: this.submitter, tls }
  }

  nextTransaction(): number {
    return ++this.#transactions
  }

  /** RFC 5321 §4.1.1.5. */
  reset(): void {
    if (this.state.kind === 'mail') this.state = { kind: 'greeted', hello: this.state.hello }
  }

  /** A line of the client inside AUTH. @throws Refusal */
  async responseLine(): Promise<string> {
    const read = await this.input.readLine(anyLineBytesMax)
    switch (read.kind) {
      case 'line':
        return read.bytes.toString('latin1')
      case 'tooLong':
        throw new Refusal(500, '5.5.6', 'Authentication exchange line is too long')
      case 'bareLineEnd':
        throw refusals.bareLineEnd()
      case 'endless':
        throw refusals.endlessLine()
    }
  }

  /** RFC 3207 §4.2: what was said before TLS is forgotten; what was sent ahead of it is dropped, so that nothing can be slipped in. */
  async startTls(goAhead: Reply): Promise<void> {
    this.#socket.removeAllListeners('data')
    this.#socket.pause()
    while (this.#socket.read() !== null);
    this.input.clear()
    this.state = { kind: 'new' }
    this.submitter = undefined
    this.say(goAhead)
    await this.#output.written()
    this.#encrypt()
  }

  async #oneCommand(): Promise<void> {
    await this.#output.ready()
    if (this.#draining) throw new InputEnd('draining')
    const read = await this.input.readLine(anyLineBytesMax)
    this.#busy = true
    try {
      for (const reply of await this.#answer(read)) this.#sayAndCount(reply)
    } finally {
      this.#busy = false
    }
  }

  async #answer(read: Awaited<ReturnType<Input['readLine']>>): Promise<readonly Reply[]> {
    try {
      if (read.kind === 'tooLong') throw refusals.lineTooLong()
      if (read.kind === 'bareLineEnd') throw refusals.bareLineEnd()
      if (read.kind === 'endless') throw refusals.endlessLine()
      const { verb, argument } = readCommandLine(read.bytes)
      return await permitted(this, verb).run(this, argument)
    } catch (error) {
      if (error instanceof InputEnd) throw error
      if (error instanceof Refusal && error.ends === 'session') throw error
      return [this.replyTo(error)]
    }
  }

  replyTo(error: unknown): Reply {
    const { role, log } = this.surroundings
    return replyTo(error, (fields, message) => log.error({ role, ...fields }, message))
  }

  #sayAndCount(reply: Reply): void {
    this.say(reply)
    // Refused for its form (RFC 5321 §4.2.2), not for what it asks: who guesses on for long is no mail client.
    if ((reply.code >= 500 && reply.code <= 504) || reply.code === 555) this.#errors++
    if (this.#errors > this.surroundings.limits.errorsMax) throw refusals.tooManyErrors()
  }

  #endWith(error: unknown): void {
    const { log, role, name } = this.surroundings
    if (error instanceof Refusal) this.say(error.reply)
    else if (!(error instanceof InputEnd)) log.error({ role, err: error }, 'smtp: session ended by an error')
    else if (error.reason === 'silent') this.say(refusals.silent().reply)
    else if (error.reason === 'draining') this.say(refusals.moving(name).reply)
  }

  #encrypt(): void {
    const plain = this.#socket
    plain.removeAllListeners('data')
    plain.removeAllListeners('end')
    const { secureContext } = this.surroundings
    const tls = new TLSSocket(plain, { isServer: true, ...(secureContext ? { secureContext } : {}) })
    plain.on('close', () => tls.destroy())
    this.#tls = tls
    this.#socket = tls
    this.#output.replaceSocket(tls)
    this.#listen(tls)
  }

  #listen(socket: Socket): void {
    socket.on('data', (chunk: Buffer) => {
      if (!this.input.push(chunk)) socket.pause()
    })
    for (const event of ['end', 'close'] as const) socket.on(event, () => this.input.end())
    // A reset or a failed TLS handshake is that client's matter; 'close' follows.
    socket.on('error', (err) => {
      this.surroundings.log.info({ role: this.surroundings.role, err }, 'smtp: session ended with an error')
      this.input.end()
    })
    socket.resume()
  }

  #close(): void {
    this.#output.send()
    this.input.end()
    this.input.clear()
    const socket = this.#socket
    socket.end()
    // What the client still sends is read and dropped, so that our last words are not lost to a reset; but not for long.
    socket.resume()
    const timer = setTimeout(() => socket.destroy(), lastWordsMs)
    timer.unref()
    socket.once('close', () => clearTimeout(timer))
  }
}
