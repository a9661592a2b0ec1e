import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { createImapListener, type ImapListener, type ImapListenerOptions } from './listener.ts'

/** For tests: a listener on a loopback port, and a client that knows nothing but lines and literals. */
export interface ListeningImap {
  readonly port: number
  readonly listener: ImapListener
  /** The server's ends of the connections, in the order of their coming. */
  readonly accepted: readonly Socket[]
  client(): Promise<RawClient>
  close(): Promise<void>
}

export async function listenImap(options: Pick<ImapListenerOptions, 'login'> & Partial<ImapListenerOptions>): Promise<ListeningImap> {
  const log = { info: () => {}, warn: () => {}, error: (fields: object, message: string) => console.error(message, fields) }
  const listener = createImapListener({
    name: 'mail.example.org',
    tlsMode: 'starttls',
    clearTextLogin: 'allowed',
    loginDelayMs: { first: 1, max: 1 },
    log,
    ...options,
  })
  const accepted: Socket[] = []
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    accepted.push(socket)
    listener.attach(socket)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = address !== null && typeof address === 'object' ? address.port : 0
  const clients: RawClient[] = []
  return {
    port,
    listener,
    accepted,
    async client() {
      const client = new RawClient(connect(port, '127.0.0.1'))
      clients.push(client)
      await client.response()
      return client
    },
    async close() {
      for (const client of clients) client.socket.destroy()
      listener.close()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const timeoutMs = 10_000

/** Responses are given as binary strings, literals inside, without the last CRLF. */
export class RawClient {
  readonly socket: Socket
  #received = ''
  #ended = false
  #wake: (() => void) | undefined
  #tag = 0

  constructor(socket: Socket) {
    this.socket = socket
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => {
      this.#received += chunk.toString('latin1')
      this.#wake?.()
    })
    const end = () => {
      this.#ended = true
      this.#wake?.()
    }
    socket.on('close', end).on('error', end)
  }

  send(text: string): void {
    this.socket.write(Buffer.from(text, 'latin1'))
  }

  /** The next response; undefined when the server has closed. */
  async response(): Promise<string | undefined> {
    const until = performance.now() + timeoutMs
    for (;;) {
      const length = responseLength(this.#received)
      if (length > 0) {
        const response = this.#received.slice(0, length - 2)
        this.#received = this.#received.slice(length)
        return response
      }
      if (this.#ended) return undefined
      if (performance.now() > until) throw new Error(`no response within ${timeoutMs} ms; received ${JSON.stringify(this.#received)}`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, timeoutMs)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  /** Sends a command and gives all responses up to the tagged one, tag taken off. */
  async command(text: string): Promise<string[]> {
    const tag = `t${++this.#tag}`
    this.send(`${tag} ${text}\r\n`)
    return this.until(tag)
  }

  async until(tag: string): Promise<string[]> {
    const responses: string[] = []
    for (;;) {
      const response = await this.response()
      if (response === undefined) return [...responses, 'closed']
      if (response.startsWith(`${tag} `)) return [...responses, response.slice(tag.length + 1)]
      responses.push(response)
    }
  }

  /** The tagged reply alone. */
  async reply(text: string): Promise<string> {
    return (await this.command(text)).at(-1) as string
  }

  append(mailbox: string, message: string, options = ''): Promise<string[]> {
    return this.command(`APPEND ${mailbox} ${options}{${Buffer.byteLength(message, 'latin1')}+}\r\n${message}`)
  }
}

function responseLength(received: string): number {
  let at = 0
  for (;;) {
    const end = received.indexOf('\r\n', at)
    if (end < 0) return 0
    const literal = /\{(\d+)\}$/.exec(received.slice(at, end))
    if (!literal) return end + 2
    at = end + 2 + Number(literal[1])
    if (received.length < at) return 0
  }
}
