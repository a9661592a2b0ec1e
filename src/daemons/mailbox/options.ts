import { readFileSync } from 'node:fs'
import { isAbsolute } from 'node:path'
import { parse } from 'yaml'
import { z } from 'zod'
import { HandoffError } from '../../errors.ts'

const path = z.string().refine(isAbsolute, 'wanted an absolute path')
const port = z.number().int().min(0).max(65535)

/** One database and one server without a cluster: a laptop, tests, other people's mail clients. */
const standalone = z.strictObject({
  servers: z
    .array(
      z.strictObject({
        name: z.string().min(1).describe('name in greetings and Received lines'),
        address: z.string().default('127.0.0.1').describe('address to listen on'),
        hostName: z.string().min(1).optional().describe('DNS name by which clients reach it'),
        databases: z.array(z.string()).optional().describe('databases to serve; all when left out'),
        ports: z
          .strictObject({
            smtp: port.optional(),
            submission: port.optional(),
            submissions: port.optional(),
            lmtp: port.optional(),
            imap: port.optional(),
            imaps: port.optional(),
            sieve: port.optional(),
            http: port.optional(),
            https: port.optional(),
          })
          .describe('a protocol without a port is not served; 0 takes a free one'),
      }),
    )
    .min(1),
  databases: z
    .array(
      z.strictObject({
        name: z.string().min(1),
        host: z.string().default('127.0.0.1').describe('host, or the directory of a Unix socket'),
        port: z.number().int().min(1).max(65535).default(5432),
        user: z.string().default('handoff'),
        password: z.string().optional(),
        epoch: z.number().int().min(0).default(0).describe('0: the instance is not under a cluster, the epoch is not checked'),
      }),
    )
    .min(1),
})

export const mailboxServiceSchema = z
  .strictObject({
    dataDirectory: path.describe('where the service keeps its self-signed certificate'),
    controlSocket: path.describe('Unix socket of the admin API of this service'),
    mounts: z.strictObject({ socket: path.describe('Unix socket on which handoffd tells the mounts') }).optional(),
    standalone: standalone.optional(),
    workers: z.number().int().min(1).max(64).default(2).describe('worker processes'),
    poolSize: z.number().int().min(1).max(100).default(6).describe('connections of each worker to each database'),
    holdMsMax: z.number().int().min(100).max(600_000).default(120_000).describe('how long a command waits for a held database before it fails'),
    tls: z
      .strictObject({ certificateFile: path, keyFile: path })
      .optional()
      .describe('certificate chain and key (PEM); a self-signed one is made when left out'),
    clearTextLogin: z.enum(['refused', 'allowed']).default('refused').describe('logins without TLS'),
    loginDomain: z.string().min(1).optional().describe('completes a login name without "@"'),
    messageBytesMax: z
      .number()
      .int()
      .min(65_536)
      .max(500_000_000)
      .default(50 * 1024 * 1024)
      .describe('largest message taken'),
    outbound: z
      .strictObject({
        relay: z
          .strictObject({ host: z.string().min(1), port })
          .optional()
          .describe('all mail for other servers goes to this one; by their MX records when left out'),
        connectTimeoutMs: z.number().int().min(100).default(30_000),
        replyTimeoutMs: z.number().int().min(1000).default(600_000).describe('silence of the receiver (RFC 5321 section 4.5.3.2)'),
      })
      .prefault({})
      .describe('mail for other servers'),
    inbound: z
      .strictObject({
        verify: z
          .enum(['refuse', 'mark', 'off'])
          .default('refuse')
          .describe('SPF, DKIM, ARC and DMARC of mail of other servers: refuse what its domain asks to be refused, mark only, or nothing'),
        trustedNetworks: z
          .array(z.string().regex(/^[0-9a-f.:]+\/\d{1,3}$/i, 'wanted CIDR notation'))
          .default(['127.0.0.0/8', '::1/128'])
          .describe('servers of our own: their mail is not verified'),
        trustedSealers: z.array(z.string().toLowerCase()).default([]).describe('domains of forwarders whose ARC seals are believed'),
        timeoutMs: z.number().int().min(100).default(10_000).describe('all lookups for one message'),
      })
      .prefault({})
      .describe('mail of other servers'),
    nameServers: z
      .array(z.string().regex(/^(\[[0-9a-f:.]+\](:\d+)?|[0-9.]+(:\d+)?)$/i, 'wanted an address, or address:port'))
      .default([])
      .describe('instead of those of the system'),
    sessionsMax: z.number().int().min(1).default(5000).describe('sessions for each listener in each worker'),
    logLevel: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
  })
  .refine((o) => (o.mounts === undefined) !== (o.standalone === undefined), {
    message: 'wanted exactly one of mounts (under handoffd) and standalone',
    path: ['mounts'],
  })

export type MailboxServiceOptions = z.infer<typeof mailboxServiceSchema>

/** @throws HandoffError CONFIG_UNREADABLE, or CONFIG_INVALID that names every fault at once */
export function readOptions(file: string): MailboxServiceOptions {
  let raw: unknown
  try {
    raw = parse(readFileSync(file, 'utf8'))
  } catch (cause) {
    throw new HandoffError('CONFIG_UNREADABLE', `cannot read the configuration "${file}": ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
  const result = mailboxServiceSchema.safeParse(raw)
  if (result.success) return result.data
  const faults = result.error.issues.map((issue) => `${issue.path.join('.') || '(top)'}: ${issue.message}`)
  throw new HandoffError('CONFIG_INVALID', `configuration "${file}" has ${faults.length} fault(s): ${faults.join('; ')}`)
}
