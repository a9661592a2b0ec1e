import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { TLSSocket } from 'node:tls'
import { capabilities } from './capabilities.ts'
import { type Argument, readCommand, readResponse, type ReadLimits, SyntaxFault } from './command-reader.ts'
import { permitted } from './commands.ts'
import { Input, InputEnd } from './input.ts'
import { Output } from './output.ts'
import { formatReply, Refusal, type Reply, refusals, replyTo } from './reply.ts'
import type { Owner, Surroundings } from './surroundings.ts'

const highWaterBytes = 64 * 1024
const lastWordsMs = 2000
/** The client reads nothing for this long while we have something to say. */
const stalledMs = 5 * 60_000

/** One connection. Its commands run one after the other; whatever goes wrong in it ends it at most, and nothing else. */
export class Session {
  readonly surroundings: Surroundings
  readonly peer: string
  #owner: Owner | undefined
  #socket: Socket
  #secure = false
  readonly #input: Input
  readonly #output: Output
  /** Aborted when the session is to end after the command in flight. */
  readonly #draining = new AbortController()
  #busy = false
  #ended = false
  #badCommands = 0
  #failedLogins = 0

  constructor(socket: Socket, surroundings: Surroundings) {
    this.surroundings = surroundings
    this.peer = socket.remoteAddress ?? 'unknown'
    this.#socket = socket
    const { silenceBeforeLoginMsMax } = surroundings.limits
    this.#input = new Input({ highWaterBytes, silenceMsMax: silenceBeforeLoginMsMax, onLow: () => this.#socket.resume() })
    this.#output = new Output(socket, { stalledMs })
  }

  get owner(): Owner | undefined {
    return this.#owner
  }

  get secure(): boolean {
    return this.#secure
  }

  /** RFC 5804 §1.7: not offered once it is done, or somebody has logged in. */
  get mayStartTls(): boolean {
    return this.surroundings.secureContext !== undefined && !this.#secure && !this.#owner
  }

  get mayLogin(): boolean {
    return this.#secure || this.surroundings.clearTextLogin === 'allowed'
  }

  async run(): Promise<void> {
    try {
      this.#listen(this.#socket)
      this.write(capabilities(this))
      this.say({ condition: 'OK', text: `${this.surroundings.name} Handoff ManageSieve` })
      while (!this.#ended) await this.#oneCommand()
    } catch (error) {
      this.#endWith(error)
    } finally {
      this.#close()
    }
  }

  /** Lets the command in flight finish, a script in transfer included, then says BYE. */
  drain(): void {
    this.#draining.abort()
    if (!this.#busy) this.#input.interrupt()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  say(reply: Reply): void {
    this.write(formatReply(reply))
  }

  write(bytes: Buffer): void {
    this.#output.say(bytes)
  }

  /** Ends the session after what has been said. */
  end(): void {
    this.#ended = true
  }

  logIn(owner: Owner): void {
    this.#owner = owner
    this.#input.silenceMsMax = this.surroundings.limits.silenceMsMax
  }

  logOut(): void {
    this.#owner = undefined
    this.#input.silenceMsMax = this.surroundings.limits.silenceBeforeLoginMsMax
  }

  /** @returns true when it was one too many */
  countFailedLogin(): boolean {
    return ++this.#failedLogins >= this.surroundings.limits.failedLoginsMax
  }

  /** Before a refusal is told; cut short when the session is to end. */
  async pause(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#draining.signal }).catch(() => undefined)
  }

  /** Asks with an empty challenge; the client's response. @throws SyntaxFault, InputEnd */
  async challenge(): Promise<Argument> {
    this.write(Buffer.from('""\r\n'))
    return readResponse(await this.#nextLine(), this.#input, this.#readLimits())
  }

  /** What was sent ahead of TLS is dropped, so that nothing can be slipped in. */
  async startTls(goAhead: Reply): Promise<void> {
    const plain = this.#socket
    plain.removeAllListeners('data')
    plain.removeAllListeners('end')
    plain.pause()
    while (plain.read() !== null);
    this.#input.clear()
    this.say(goAhead)
    await this.#output.written()
    const { secureContext } = this.surroundings
    const tls = new TLSSocket(plain, { isServer: true, ...(secureContext ? { secureContext } : {}) })
    plain.on('close', () => tls.destroy())
    this.#secure = true
    this.#socket = tls
    this.#output.replaceSocket(tls)
    this.#listen(tls)
  }

  async #oneCommand(): Promise<void> {
    await this.#output.ready()
    const firstLine = await this.#nextLine()
    try {
      const command = await readCommand(firstLine, this.#input, this.#readLimits())
      const reply = await permitted(this, command).run(this, command.args)
      this.#badCommands = 0
      this.say(reply)
    } catch (error) {
      this.#refuse(error)
    }
  }

  /** Between two commands, or while the client thinks about a challenge, the session may be ended. */
  async #nextLine(): Promise<Buffer> {
    this.#busy = false
    if (this.#draining.signal.aborted) throw new InputEnd('draining')
    const line = await this.#input.line(this.surroundings.limits.lineBytesMax)
    this.#busy = true
    return line
  }

  #refuse(error: unknown): void {
    const reply = error instanceof InputEnd ? undefined : replyTo(error, (fields, message) => this.surroundings.log.error(fields, message))
    if (reply === undefined || reply.condition === 'BYE') throw error
    this.say(reply)
    if (error instanceof SyntaxFault && ++this.#badCommands >= this.surroundings.limits.badCommandsMax) throw refusals.tooManyErrors()
  }

  #readLimits(): ReadLimits {
    const { lineBytesMax, literalBytesMax, literalBytesBeforeLoginMax, skippedBytesMax, skippedBytesBeforeLoginMax } = this.surroundings.limits
    if (this.#owner) return { lineBytesMax, literalBytesMax, skippedBytesMax }
    return { lineBytesMax, literalBytesMax: literalBytesBeforeLoginMax, skippedBytesMax: skippedBytesBeforeLoginMax }
  }

  #endWith(error: unknown): void {
    const { log, name } = this.surroundings
    if (error instanceof Refusal || error instanceof SyntaxFault) this.say(replyTo(error, () => undefined))
    else if (!(error instanceof InputEnd)) log.error({ err: error, peer: this.peer }, 'managesieve: session ended by an error')
    else if (error.reason === 'silent') this.say(refusals.silent().reply)
    else if (error.reason === 'endlessLine') this.say(refusals.endlessLine().reply)
    else if (error.reason === 'draining') this.say(refusals.moving(name).reply)
  }

  #listen(socket: Socket): void {
    socket.on('data', (chunk: Buffer) => {
      if (!this.#input.push(chunk)) socket.pause()
    })
    for (const event of ['end', 'close'] as const) socket.on(event, () => this.#input.end())
    // A reset or a failed TLS handshake is that client's matter; 'close' follows.
    socket.on('error', () => this.#input.end())
    socket.resume()
  }

  #close(): void {
    this.#input.end()
    this.#input.clear()
    const socket = this.#socket
    socket.end()
    // What the client still sends is read and dropped, so that our last words are not lost to a reset; but not for long.
    socket.resume()
    const timer = setTimeout(() => socket.destroy(), lastWordsMs)
    timer.unref()
    socket.once('close', () => clearTimeout(timer))
  }
}
