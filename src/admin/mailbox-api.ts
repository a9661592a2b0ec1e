import fastify, { type FastifyInstance } from 'fastify'
import { z } from 'zod'
import { type QueueAdmin, queueRoutes } from './queue-api.ts'
import { read } from './read.ts'
import { type SieveAdmin, sieveRoutes } from './sieve-api.ts'
import { type SigningKeyAdmin, signingKeyRoutes } from './signing-key-api.ts'
import { type ErrorCode, errorRegister, HandoffError } from '../errors.ts'

/** What the admin API of the mailbox service does, handed in by the daemon. */
export interface MailboxAdmin extends QueueAdmin, SieveAdmin, SigningKeyAdmin {
  createMailbox(wanted: CreateMailbox): Promise<MailboxEntry>
  listMailboxes(): Promise<readonly MailboxEntry[]>
  health(): ServiceHealth
}

export const createMailbox = z.strictObject({
  address: z.string().regex(/^[^\s@<>]{1,64}@[^\s@<>]{1,255}$/, 'wanted an address like alice@example.org'),
  password: z.string().min(1).max(1000),
  /** Where it is put; the only database when there is one. */
  database: z.string().optional(),
})
export type CreateMailbox = z.infer<typeof createMailbox>

export interface MailboxEntry {
  readonly address: string
  readonly accountId: string
  readonly database: string
}

export interface ServiceHealth {
  /** `ok`: every door of the servers served here is open and a worker is ready. */
  readonly status: 'ok' | 'degraded'
  /** The primary process; absent in a service of an older version. */
  readonly pid?: number
  readonly handoffd: 'connected' | 'away' | 'standalone'
  readonly workers: readonly { readonly pid: number | undefined; readonly ready: boolean; readonly sessions: number }[]
  readonly listeners: readonly {
    readonly server: string
    readonly protocol: string
    readonly address: string
    readonly port: number
    readonly listening: boolean
    readonly error?: string
  }[]
  readonly databases: readonly { readonly name: string; readonly epoch: number; readonly held: boolean; readonly ready: boolean; readonly error?: string }[]
}

const statusOf: Partial<Record<ErrorCode, number>> = {
  REQUEST_INVALID: 400,
  ACCOUNT_INVALID: 400,
  SIGNING_KEY_INVALID: 400,
  DATABASE_UNKNOWN: 404,
  SIEVE_SCRIPT_INVALID: 400,
  SIEVE_SCRIPT_NAME_INVALID: 400,
  SIEVE_SCRIPT_TOO_LARGE: 400,
  SIEVE_SCRIPT_LIMIT: 409,
  SIEVE_SCRIPT_ACTIVE: 409,
}

/** The one place where an error becomes an HTTP answer: RFC 9457 problem details, with our code, cause and remedy. */
export function problemOf(error: unknown): { readonly status: number; readonly body: object } {
  if (error instanceof HandoffError) {
    const status = statusOf[error.code] ?? (/_(EXISTS|TAKEN)$/.test(error.code) ? 409 : /_UNKNOWN$/.test(error.code) ? 404 : 503)
    const cause = error.cause instanceof Error ? { cause: error.cause.message } : {}
    return {
      status,
      body: {
        type: `urn:handoff:error:${error.code}`,
        title: errorRegister[error.code].when,
        status,
        code: error.code,
        detail: error.message,
        ...cause,
        remedy: error.remedy,
      },
    }
  }
  const message = error instanceof Error ? error.message : String(error)
  return {
    status: 500,
    body: {
      type: 'about:blank',
      title: 'The mailbox service failed',
      status: 500,
      code: 'INTERNAL',
      detail: message,
      remedy: 'The log of handoff-mailbox has the details.',
    },
  }
}

export function createMailboxApi(admin: MailboxAdmin): FastifyInstance {
  const app = fastify({ logger: false, bodyLimit: 64 * 1024 })
  app.setErrorHandler((error, _request, reply) => {
    const isClientFault = typeof (error as { statusCode?: unknown }).statusCode === 'number' && (error as { statusCode: number }).statusCode < 500
    const { status, body } = problemOf(isClientFault ? new HandoffError('REQUEST_INVALID', (error as Error).message, { cause: error }) : error)
    return reply.code(status).type('application/problem+json').send(body)
  })
  app.setNotFoundHandler((request, reply) => {
    const { body } = problemOf(new HandoffError('REQUEST_INVALID', `the mailbox service has no ${request.method} ${request.url}`))
    return reply
      .code(404)
      .type('application/problem+json')
      .send({ ...body, status: 404 })
  })
  app.post('/api/v1/mailboxes', async (request, reply) => reply.code(201).send(await admin.createMailbox(read(createMailbox, request.body))))
  app.get('/api/v1/mailboxes', () => admin.listMailboxes())
  queueRoutes(app, admin)
  sieveRoutes(app, admin)
  signingKeyRoutes(app, admin)
  // Always 200: that it answers is the news for handoffd; how it is stands inside.
  app.get('/health', async () => admin.health())
  return app
}
