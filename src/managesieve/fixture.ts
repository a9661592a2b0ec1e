import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { createManageSieveListener, type ManageSieveListener, type ManageSieveListenerOptions } from './listener.ts'

/** For tests: a listener on a loopback port, and a client that takes nothing but what the grammar of RFC 5804 §4 permits. */
export interface ListeningManageSieve {
  readonly port: number
  readonly listener: ManageSieveListener
  /** Greeted. */
  client(): Promise<SieveClient>
  close(): Promise<void>
}

export async function listenManageSieve(
  options: Pick<ManageSieveListenerOptions, 'login'> & Partial<ManageSieveListenerOptions>,
): Promise<ListeningManageSieve> {
  const log = { info: () => {}, error: (fields: object, message: string) => console.error(message, fields) }
  const listener = createManageSieveListener({ name: 'mail.example.org', clearTextLogin: 'allowed', loginDelayMs: { first: 1, max: 1 }, log, ...options })
  // A client that says no more still wants its answers.
  const server = createServer({ allowHalfOpen: true }, (socket) => listener.attach(socket)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = address !== null && typeof address === 'object' ? address.port : 0
  const clients: SieveClient[] = []
  return {
    port,
    listener,
    async client() {
      const client = new SieveClient(connect(port, '127.0.0.1'))
      clients.push(client)
      await client.answer()
      return client
    },
    async close() {
      for (const client of clients) client.socket.destroy()
      listener.close()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Strings are binary: one byte for each UTF-16 unit. */
export interface Answer {
  /** The lines before the last: strings as their contents, atoms after a colon. */
  readonly data: readonly (readonly string[])[]
  readonly condition: string
  readonly code?: string | undefined
  /** What stands after the code. */
  readonly codeValue?: string | undefined
  readonly text?: string | undefined
}

export class SieveClient {
  socket: Socket
  received = ''
  closed = false
  #wake: () => void = () => {}

  constructor(socket: Socket) {
    this.socket = socket
    this.#listen()
  }

  /** Goes on inside TLS. */
  secure(): void {
    this.socket.removeAllListeners()
    this.socket = connectTls({ socket: this.socket, rejectUnauthorized: false })
    this.#listen()
  }

  say(bytes: string | Buffer): void {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  }

  /** @throws when what comes breaks the grammar, or the connection ends before the answer */
  async answer(): Promise<Answer> {
    for (;;) {
      const reading = new AnswerReading(this.received)
      const answer = reading.answer()
      if (answer) {
        this.received = this.received.slice(reading.at)
        return answer
      }
      if (this.closed) throw new Error(`closed after ${JSON.stringify(this.received)}`)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  /** Says a command with its CRLF. */
  async do(command: string): Promise<Answer> {
    this.say(`${command}\r\n`)
    return this.answer()
  }

  /** What is done becomes its condition and code. */
  async outcome(command: string): Promise<string> {
    const { condition, code } = await this.do(command)
    return code === undefined ? condition : `${condition} ${code}`
  }

  /** Reads to the end of the connection. */
  async end(): Promise<void> {
    while (!this.closed)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
  }

  #listen(): void {
    this.socket.setEncoding('latin1')
    this.socket.on('error', () => {})
    this.socket.on('data', (chunk: string) => {
      this.received += chunk
      this.#wake()
    })
    this.socket.on('close', () => {
      this.closed = true
      this.#wake()
    })
  }
}

/** A literal in the client's form. */
export function literal(content: string | Buffer): string {
  const bytes = Buffer.from(content)
  return `{${bytes.length}+}\r\n${bytes.toString('latin1')}`
}

class Incomplete extends Error {}

class AnswerReading {
  readonly #text: string
  at = 0

  constructor(text: string) {
    this.#text = text
  }

  /** @returns undefined when there is more to come */
  answer(): Answer | undefined {
    const data: string[][] = []
    try {
      for (;;) {
        const condition = this.#match(/(?:OK|NO|BYE)(?=[ \r])/y)
        if (condition !== undefined) return { data, condition, ...this.#rest() }
        data.push(this.#line())
      }
    } catch (error) {
      if (error instanceof Incomplete) return undefined
      throw error
    }
  }

  #rest(): Omit<Answer, 'data' | 'condition'> {
    const code = this.#match(/ \([A-Z/-]+/y)?.slice(2)
    const codeValue = code !== undefined && this.#match(/ /y) ? this.#string() : undefined
    if (code !== undefined) this.#want(/\)/y)
    const text = this.#match(/ /y) ? this.#string() : undefined
    this.#want(/\r\n/y)
    return { code, codeValue, text }
  }

  #line(): string[] {
    const words = [this.#string()]
    while (this.#match(/ /y)) words.push(this.#text[this.at] === '"' || this.#text[this.at] === '{' ? this.#string() : `:${this.#want(/[A-Z]+/y)}`)
    this.#want(/\r\n/y)
    return words
  }

  #string(): string {
    const quoted = this.#match(/"(?:[^"\\\r\n\0]|\\["\\])*"/y)
    if (quoted !== undefined) {
      if (quoted.length > 1026) throw new Error('quoted string of more than 1024 octets')
      return quoted.slice(1, -1).replace(/\\(.)/g, '$1')
    }
    const size = Number(this.#want(/\{\d+\}\r\n/y).slice(1, -3))
    if (this.#text.length < this.at + size) throw new Incomplete()
    this.at += size
    return this.#text.slice(this.at - size, this.at)
  }

  #want(pattern: RegExp): string {
    const found = this.#match(pattern)
    if (found !== undefined) return found
    const line = this.#text.slice(this.at)
    if (!line.includes('\r\n')) throw new Incomplete()
    throw new Error(`${JSON.stringify(line.slice(0, 200))} is not what the grammar wants: ${pattern}`)
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at
    const found = pattern.exec(this.#text)?.[0]
    if (found !== undefined) this.at += found.length
    return found
  }
}
