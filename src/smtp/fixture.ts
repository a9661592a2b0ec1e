import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import type { DeliveryRequest, LocalDelivery } from './delivery.ts'
import { createSmtpListener, type SmtpListener, type SmtpListenerOptions } from './listener.ts'

/** A listener on a free port, before a store that takes everything for `@example.org` but for `nobody`. */
export interface Rig {
  readonly port: number
  readonly listener: SmtpListener
  readonly accepted: DeliveryRequest[]
  readonly server: Server
}

const rigs: Rig[] = []

export function closeRigs(): void {
  for (const rig of rigs.splice(0)) {
    rig.listener.close()
    rig.server.close()
  }
}

const silent = { info: () => {}, error: () => {} }

export async function start(options: Partial<SmtpListenerOptions> = {}, changed: Partial<LocalDelivery> = {}): Promise<Rig> {
  const accepted: DeliveryRequest[] = []
  const delivery: LocalDelivery = {
    findRecipient: async (address) =>
      address.endsWith('@example.org') && !address.startsWith('nobody') ? { address, accountId: address, database: 'mail' } : undefined,
    findPostmaster: async () => ({ address: 'postmaster@example.org', accountId: 'postmaster', database: 'mail' }),
    isLocalDomain: async (domain) => domain === 'example.org',
    authenticate: async (username, password) => (password === 'secret' ? { accountId: username, address: username, database: 'mail' } : undefined),
    sign: async () => '',
    deliver: async (request) => {
      accepted.push(request)
      return request.recipients.map(() => ({ kind: 'delivered' as const }))
    },
    ...changed,
  }
  const listener = createSmtpListener({ role: 'smtp', name: 'mail.example.org', delivery, log: silent, now: () => new Date(0), ...options })
  const server = createServer((socket) => listener.attach(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const rig = { port: address !== null && typeof address === 'object' ? address.port : 0, listener, accepted, server }
  rigs.push(rig)
  return rig
}

/** A raw client: what it received so far, and a wait for what is to come. */
export class Raw {
  socket: Socket
  text = ''
  #wake: () => void = () => {}

  constructor(socket: Socket | number) {
    this.socket = typeof socket === 'number' ? connect(socket, '127.0.0.1') : socket
    this.#listen()
  }

  /** Goes on inside TLS. */
  secure(): void {
    this.socket.removeAllListeners()
    this.socket = connectTls({ socket: this.socket, rejectUnauthorized: false })
    this.#listen()
  }

  async until(pattern: RegExp | string): Promise<string> {
    while (!(typeof pattern === 'string' ? this.text.includes(pattern) : pattern.test(this.text))) {
      if (this.text.endsWith('<closed>')) throw new Error(`wanted ${pattern}, got ${JSON.stringify(this.text)}`)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    const text = this.text
    this.text = ''
    return text
  }

  async say(line: string, pattern: RegExp | string = /^\d{3} .*\r\n/m): Promise<string> {
    this.socket.write(line, 'latin1')
    return this.until(pattern)
  }

  /** Says the lines one by one; the codes of the replies, with their enhanced codes. */
  async codes(...lines: readonly string[]): Promise<string[]> {
    const codes: string[] = []
    for (const line of lines) codes.push(codeOf(await this.say(`${line}\r\n`)))
    return codes
  }

  #listen(): void {
    this.socket.setEncoding('latin1')
    this.socket.on('error', () => {})
    this.socket.on('data', (chunk: string) => {
      this.text += chunk
      this.#wake()
    })
    this.socket.on('close', () => {
      this.text += '<closed>'
      this.#wake()
    })
  }
}

export function codeOf(reply: string): string {
  return /^(\d{3} (?:\d\.\d+\.\d+)?)/m.exec(reply)?.[1]?.trim() ?? reply
}

export async function greeted(port: number, hello = 'EHLO client.example.net'): Promise<Raw> {
  const client = new Raw(port)
  await client.until(/^220 .*\r\n/m)
  await client.say(`${hello}\r\n`)
  return client
}

export const envelope = 'MAIL FROM:<a@example.net>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n'
const head = /^Received: (.|\r\n\t)*\r\n/

/** The content of a delivered message, without what was put above it. */
export function stored(rig: Rig, i = 0): string | undefined {
  return rig.accepted[i]?.message.toString('latin1').replace(head, '')
}

export function selfSigned(): { readonly cert: string; readonly key: string } {
  const directory = mkdtempSync(join(tmpdir(), 'smtp-tls-'))
  const [cert, key] = [join(directory, 'cert'), join(directory, 'key')]
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=localhost']
  execFileSync('openssl', ['req', '-x509', ...curve, '-keyout', key, '-out', cert], { stdio: 'ignore' })
  const read = { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') }
  rmSync(directory, { recursive: true })
  return read
}
