import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer, type Server } from 'node:tls'
import { SMTPServer } from 'smtp-server'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { clientProgram } from './rig/build.ts'
import { checkMail, type MailboxEntry } from './rig/clients/checker.ts'
import { type MailRecord, readRecords } from './rig/clients/records.ts'
import { until } from './rig/wait.ts'

let directory: string
let mailbox: MailboxEntry[]
let drops: number
let lmtp: SMTPServer
let imap: Server

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'mail-client-'))
  mailbox = []
  drops = 0
  const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')]
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, '-days', '1', '-subj', '/CN=localhost'], {
    stdio: 'ignore',
  })
  lmtp = new SMTPServer({ lmtp: true, authOptional: true, hideSTARTTLS: true, logger: false, onData: take })
  imap = createServer({ key: readFileSync(key), cert: readFileSync(cert) }, (socket) => {
    socket.write('* OK ready\r\n')
    socket.on('error', () => undefined)
    socket.setEncoding('latin1')
    socket.on('data', (chunk: string) => {
      for (const line of chunk.split('\r\n').filter((text) => text !== '')) socket.write(answer(line))
    })
  })
  await new Promise<void>((resolve) => lmtp.listen(0, '127.0.0.1', () => resolve()))
  await new Promise<void>((resolve) => imap.listen(0, '127.0.0.1', resolve))
})

afterEach(() => {
  lmtp.close(() => undefined)
  imap.close()
  rmSync(directory, { recursive: true, force: true })
})

/** Takes a message; every tenth one is stored, but the connection ends before the answer. */
function take(stream: NodeJS.ReadableStream, _session: unknown, callback: (error?: Error | null) => void): void {
  let text = ''
  stream.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
  })
  stream.on('end', () => {
    const messageId = /Message-ID: <([^>]*)>/.exec(text)?.[1] ?? ''
    if (!mailbox.some((entry) => entry.messageId === messageId)) mailbox.push({ uidValidity: 7, uid: mailbox.length + 1, messageId })
    if (mailbox.length % 10 === 0 && drops < 3) {
      drops += 1
      for (const connection of lmtp.connections) (connection as { _socket?: { destroy(): void } })._socket?.destroy()
    } else callback()
  })
}

/** As little of an IMAP server as the client asks for. */
function answer(line: string): string {
  const [tag, command, , range] = line.split(' ')
  if (command === 'SELECT') return `* ${mailbox.length} EXISTS\r\n* OK [UIDVALIDITY 7] valid\r\n${tag} OK [READ-WRITE] selected\r\n`
  if (command !== 'UID') return `${tag} OK done\r\n`
  const from = Math.min(Number(range?.split(':')[0]), mailbox.length)
  const parts = mailbox.slice(Math.max(0, from - 1)).map((entry) => {
    const header = `Message-ID: <${entry.messageId}>\r\n\r\n`
    return `* ${entry.uid} FETCH (UID ${entry.uid} BODY[HEADER.FIELDS (MESSAGE-ID)] {${header.length}}\r\n${header})\r\n`
  })
  return `${parts.join('')}${tag} OK done\r\n`
}

test('deliveries and sightings are recorded, and a message without an answer is offered again', async () => {
  const out = join(directory, 'records.jsonl')
  const port = (server: { address(): unknown }): string => String((server.address() as AddressInfo).port)
  const program = await clientProgram('mail-client')
  const flags = ['--host', '127.0.0.1', '--lmtpPort', port(lmtp.server), '--imapPort', port(imap), '--intervalMs', '1', '--run', 't', '--out', out]
  const client = spawn(process.execPath, [program, ...flags], { stdio: ['ignore', 'inherit', 'inherit'] })
  try {
    await until(
      'fifty deliveries, all of them seen',
      () => readRecords<MailRecord>(out).filter((record) => record.kind === 'delivered').length >= 50 && drops === 3,
      { timeoutMs: 20_000 },
    )
    await until('the last one to be seen', () => readRecords<MailRecord>(out).filter((record) => record.kind === 'seen').length >= 50, { timeoutMs: 20_000 })
  } finally {
    const ended = new Promise((resolve) => client.once('exit', resolve))
    client.kill('SIGTERM')
    await ended
  }
  const records = readRecords<MailRecord>(out)
  expect(records.some((record) => record.kind === 'delivered' && record.tries > 1)).toBe(true)
  expect(checkMail(records, mailbox)).toMatchObject({ lost: [], doubled: [], shownThenGone: [], renamed: [] })
})
