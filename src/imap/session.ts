import type { Socket } from 'node:net'
import { type SecureContext, TLSSocket } from 'node:tls'
import type { AccountMail } from '../mailbox/account-mail.ts'
import { ByteQueue } from './byte-queue.ts'
import { capabilities } from './capabilities.ts'
import { type CommandDefinition, commands, type Run } from './command-table.ts'
import { readCommand, tagOf } from './command-reader.ts'
import { Cursor, SyntaxFault } from './cursor.ts'
import type { LoginThrottle } from '../directory/login-throttle.ts'
import type { NameEncoding } from './mailbox-name.ts'
import { Output } from './output.ts'
import { type ImapLog, isGone, replyTo } from './refusal.ts'
import type { SelectedMailbox } from './selected.ts'

/** What all sessions of a listener share. */
export interface SessionSurroundings {
  readonly name: string
  readonly secureContext: SecureContext | undefined
  readonly tlsMode: 'starttls' | 'implicit'
  readonly clearTextLogin: 'refused' | 'allowed'
  readonly login: (username: string, password: string) => Promise<AccountMail | undefined>
  readonly throttle: LoginThrottle
  readonly limits: ImapLimits
  readonly log: ImapLog
}

export interface ImapLimits {
  readonly lineBytesMax: number
  readonly literalsMax: number
  readonly literalBytesMax: number
  readonly appendBytesMax: number
  /** RFC 9051 §5.4: at least 30 minutes once logged in. */
  readonly idleMs: number
  readonly idleBeforeLoginMs: number
  /** Between untagged OKs while a command waits, for example for a failover. */
  readonly keepAliveMs: number
  readonly badCommandsMax: number
}

type End = 'logout' | 'closing'

/** One connection. Its commands run one after the other; whatever goes wrong in it ends it at most, and nothing else. */
export class Session {
  readonly surroundings: SessionSurroundings
  readonly peer: string
  readonly queue: ByteQueue
  readonly out: Output
  encoding: NameEncoding = 'utf7'
  /** Extensions of ENABLE in force, CONDSTORE also by use (RFC 7162 §3.1). */
  readonly enabled = new Set<string>()
  store: AccountMail | undefined
  selected: SelectedMailbox | undefined
  end: End | undefined
  #socket: Socket
  #secure = false
  #running = false
  #bad = 0
  #stopWatch: (() => void) | undefined
  #interrupt: (() => void) | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(socket: Socket, surroundings: SessionSurroundings) {
    this.surroundings = surroundings
    this.peer = socket.remoteAddress ?? 'unknown'
    this.#socket = socket
    this.queue = new ByteQueue({ highWaterBytes: 64 * 1024, onLow: () => this.#socket.resume() })
    this.out = new Output(socket)
  }

  get secure(): boolean {
    return this.#secure
  }

  /** The client is not there any more: no use in working for it. */
  get gone(): boolean {
    return this.#socket.destroyed
  }

  get mayLogin(): boolean {
    return this.#secure || this.surroundings.clearTextLogin === 'allowed'
  }

  async run(): Promise<void> {
    try {
      if (this.surroundings.tlsMode === 'implicit') this.#startTls()
      else this.#listen(this.#socket)
      this.out.line(`* OK [CAPABILITY ${capabilities(this).join(' ')}] ${this.surroundings.name} Handoff ready`)
      while (this.end === undefined && (await this.#oneCommand()));
      await this.out.flush()
    } catch (error) {
      this.surroundings.log.error({ err: error, peer: this.peer }, 'imap: session ended by an error')
    } finally {
      this.#close()
    }
  }

  /** Ends the session in the protocol's own way, after the command in progress (RFC 9051 §7.1.5). */
  drain(): void {
    if (this.end !== undefined) return
    this.end = 'closing'
    if (this.#running) this.#interrupt?.()
    else this.bye('Server is moving, please reconnect')
  }

  destroy(): void {
    this.#socket.destroy()
  }

  bye(text: string): void {
    this.out.line(`* BYE ${text}`)
    this.out.send()
    this.end = 'closing'
    this.queue.end()
  }

  capability(name: string): boolean {
    return this.enabled.has(name)
  }

  select(selected: SelectedMailbox | undefined): void {
    this.#stopWatch?.()
    this.#stopWatch = undefined
    this.selected = selected
    if (selected && this.store) {
      this.#stopWatch = this.store.watch(selected.mailbox.id, () => {
        selected.changed = true
        this.#interrupt?.()
      })
    }
  }

  /** Tells what has happened in the selected mailbox. */
  async update(expunges: boolean): Promise<void> {
    if (!this.selected || !this.store) return
    await this.selected.update(this.store, this.out, { expunges, modseq: this.enabled.has('CONDSTORE'), recent: !this.enabled.has('IMAP4REV2') })
  }

  /** Resolves on a change in the selected mailbox, when the session is to end, or after `ms`. For IDLE. */
  interrupted(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        this.#interrupt = undefined
        resolve()
      }
      const timer = setTimeout(done, ms)
      signal.addEventListener('abort', done)
      this.#interrupt = done
      if (this.end !== undefined || this.selected?.changed || signal.aborted) done()
    })
  }

  /** A line of the client inside a command (AUTHENTICATE, IDLE). undefined: the client is gone or said too much. */
  async continuationLine(): Promise<string | undefined> {
    this.#restartTimer()
    const read = await this.queue.readLine(this.surroundings.limits.lineBytesMax)
    if (read.kind === 'line') return read.bytes.toString('latin1')
    if (read.kind === 'tooLong') this.bye('Line too long')
    return undefined
  }

  /** Called by STARTTLS after its OK has been sent. What came in before that is forgotten, so nothing can be slipped in front of TLS. */
  async startTls(): Promise<void> {
    this.#socket.pause()
    this.queue.clear()
    await this.out.written()
    this.#startTls()
  }

  async #oneCommand(): Promise<boolean> {
    const { limits } = this.surroundings
    await this.out.flush()
    this.#restartTimer()
    const readLimits = { ...limits, appendBytesMax: this.store ? limits.appendBytesMax : 0, literalBytesMax: this.store ? limits.literalBytesMax : 4096 }
    const read = await readCommand(this.queue, readLimits, () => {
      this.out.line('+ Ready for literal data')
      this.out.send()
    })
    if (this.end !== undefined) return false
    if (read.kind === 'end') return false
    if (read.kind === 'refused') {
      this.out.line(`${read.tag} ${read.reply}`)
      if (read.thenClose) this.bye('Cannot find the end of that command')
      else this.#countBad(read.reply)
      return this.end === undefined
    }
    this.#running = true
    clearTimeout(this.#timer)
    try {
      await this.#perform(new Cursor(read.command), read.command.texts[0] ?? '')
    } finally {
      this.#running = false
    }
    if (this.end === 'closing' && !this.queue.ended) this.bye('Server is moving, please reconnect')
    return this.end === undefined && !this.#socket.destroyed
  }

  async #perform(cursor: Cursor, firstText: string): Promise<void> {
    let tag = tagOf(firstText)
    let definition: CommandDefinition | undefined
    let reply: string
    let keepAlive: NodeJS.Timeout | undefined
    try {
      tag = cursor.tag()
      cursor.space()
      const { found, run } = this.#parse(cursor)
      definition = found
      if (!found.waits) keepAlive = this.#keepAlive()
      reply = await run()
      if (this.selected && (this.selected.changed || found.looks)) await this.update(found.expunges)
    } catch (error) {
      reply = replyTo(error, this.surroundings.log)
      // RFC 2180 §3.3: a mailbox deleted by another session takes with it the sessions that have it selected.
      if (this.selected && definition?.state === 'selected' && isGone(error)) this.bye('The selected mailbox has been deleted')
    } finally {
      clearInterval(keepAlive)
    }
    if (this.gone) return
    this.out.line(`${tag} ${reply}`)
    this.#countBad(reply)
    if (definition?.afterwards) await definition.afterwards(this, reply)
  }

  /** While a command waits, for a database that is being handed over, say, the client and what is between sees that we are alive. */
  #keepAlive(): NodeJS.Timeout {
    return setInterval(() => {
      this.out.line('* OK Still at it')
      this.out.send()
    }, this.surroundings.limits.keepAliveMs)
  }

  #parse(cursor: Cursor): { readonly found: CommandDefinition; readonly run: Run } {
    let name = cursor.keyword()
    if (name === 'UID') {
      cursor.space()
      name = `UID ${cursor.keyword()}`
    }
    const found = commands.get(name)
    if (!found) throw new SyntaxFault('Unknown command')
    if (found.state === 'notAuthenticated' && this.store) throw new SyntaxFault('Already logged in')
    if ((found.state === 'authenticated' || found.state === 'selected') && !this.store) throw new SyntaxFault('Log in first')
    if (found.state === 'selected' && !this.selected) throw new SyntaxFault('Select a mailbox first')
    const run = found.parse(cursor, this)
    cursor.end()
    return { found, run }
  }

  #countBad(reply: string): void {
    if (!reply.startsWith('BAD')) {
      this.#bad = 0
      return
    }
    if (++this.#bad >= this.surroundings.limits.badCommandsMax) this.bye('Too many bad commands')
  }

  #restartTimer(): void {
    clearTimeout(this.#timer)
    const { idleMs, idleBeforeLoginMs } = this.surroundings.limits
    this.#timer = setTimeout(
      () => {
        this.bye('Idle for too long')
        this.#socket.end()
      },
      this.store ? idleMs : idleBeforeLoginMs,
    )
  }

  #startTls(): void {
    const plain = this.#socket
    plain.removeAllListeners('data')
    plain.removeAllListeners('end')
    const tls = new TLSSocket(plain, { isServer: true, ...(this.surroundings.secureContext ? { secureContext: this.surroundings.secureContext } : {}) })
    plain.on('close', () => tls.destroy())
    this.#secure = true
    this.#socket = tls
    this.out.replaceSocket(tls)
    this.#listen(tls)
  }

  #listen(socket: Socket): void {
    socket.on('data', (chunk: Buffer) => {
      if (!this.queue.push(chunk)) socket.pause()
    })
    socket.on('end', () => this.queue.end())
    socket.on('close', () => {
      this.queue.end()
      this.#interrupt?.()
    })
    // A reset or a failed TLS handshake is that client's matter; 'close' follows.
    socket.on('error', () => this.queue.end())
    socket.resume()
  }

  #close(): void {
    clearTimeout(this.#timer)
    this.select(undefined)
    const socket = this.#socket
    socket.end()
    // What the client still sends is read and dropped, so that our last words are not lost to a reset; but not for long.
    socket.resume()
    const timer = setTimeout(() => socket.destroy(), 2000)
    timer.unref()
    socket.once('close', () => clearTimeout(timer))
  }
}
