import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify'
import type { z } from 'zod'
import { type ErrorCode, HandoffError } from '../errors.ts'
import type { View } from '../groups/view.ts'
import type { ClusterAdmin } from './cluster-admin.ts'
import { createCluster, createDatabase, createServer, createStorageGroup, type EventEntry, moveGroup, type Problem } from './schemas.ts'
import { copyStatuses, groupStatuses, nodeStatuses } from './status.ts'

/** What the API needs from the daemon that runs it. */
export interface ApiHost {
  readonly admin: ClusterAdmin
  view(): View
  now(): number
  cluster(): { readonly id: string; readonly name: string } | null
  storeReachable(): boolean
  /** Why a request was refused, if it was. */
  refusal(requestId: string): string | null
  /** Is this database created and its storage group serving? */
  mounted(database: string): boolean
  /** Throw this node's passive copy away and seed it anew. */
  reseed(group: string): Promise<void>
  onEvent(listener: (event: EventEntry) => void): () => void
  metrics(): string
}

const statusOf: Partial<Record<ErrorCode, number>> = {
  CLUSTER_EXISTS: 409,
  CLUSTER_MISSING: 409,
  GROUP_EXISTS: 409,
  DATABASE_EXISTS: 409,
  ADDRESS_TAKEN: 409,
  PORT_TAKEN: 409,
  MOVE_REFUSED: 409,
  REQUEST_PENDING: 409,
  NOT_LOCAL: 409,
  GROUP_UNKNOWN: 404,
  NODE_UNKNOWN: 404,
  DATABASE_UNKNOWN: 404,
  DECISION_UNKNOWN: 404,
  REQUEST_INVALID: 400,
}

/** The admin API of a node, on its Unix socket. Errors are RFC 9457 problems with code and remedy. */
export function adminApi(host: ApiHost): FastifyInstance {
  const api = Fastify({ logger: false })
  api.setErrorHandler((failure, _request, reply) => sendProblem(reply, failure))
  api.setNotFoundHandler((request, reply) => sendProblem(reply, new HandoffError('REQUEST_INVALID', `there is no ${request.method} ${request.url}`)))

  api.get('/api/v1/cluster', () => ({
    cluster: host.cluster(),
    self: host.view().self,
    storeReachable: host.storeReachable(),
    nodes: nodeStatuses(host.view()),
    groups: groupStatuses(host.view()),
    copies: copyStatuses(host.view(), host.now()),
  }))
  api.post('/api/v1/cluster', (request) => host.admin.createCluster(parse(createCluster, request.body).name))
  api.post('/api/v1/storage-groups', async (request, reply) => {
    await host.admin.createStorageGroup(parse(createStorageGroup, request.body))
    return reply.code(202).send({})
  })
  api.post('/api/v1/servers', async (request, reply) => {
    await host.admin.createServer(parse(createServer, request.body))
    return reply.code(202).send({})
  })
  api.post('/api/v1/databases', async (request, reply) => {
    const wanted = parse(createDatabase, request.body)
    await host.admin.createDatabase(wanted.name, wanted.storageGroup)
    return reply.code(202).send({})
  })
  api.get('/api/v1/databases', async () => (await host.admin.databases()).map((database) => ({ ...database, mounted: host.mounted(database.name) })))

  api.get<{ Params: { group: string }; Querystring: { request?: string } }>('/api/v1/groups/:group', (request) => {
    const group = groupStatuses(host.view()).find((candidate) => candidate.group === request.params.group)
    if (group === undefined) throw new HandoffError('GROUP_UNKNOWN', `there is no group "${request.params.group}"`)
    return { group, refused: request.query.request === undefined ? null : host.refusal(request.query.request) }
  })
  api.post<{ Params: { group: string } }>('/api/v1/groups/:group/move', (request) => host.admin.move(request.params.group, parse(moveGroup, request.body)))
  for (const state of ['online', 'offline'] as const) {
    api.post<{ Params: { group: string } }>(`/api/v1/groups/:group/${state}`, async (request) => {
      await host.admin.setState(request.params.group, state)
      return {}
    })
  }
  for (const verb of ['pause', 'resume'] as const) {
    api.post<{ Params: { node: string } }>(`/api/v1/nodes/:node/${verb}`, async (request) => {
      await host.admin.setPaused(request.params.node, verb === 'pause')
      return {}
    })
  }
  api.post<{ Params: { group: string } }>('/api/v1/copies/:group/seed', async (request) => {
    await host.reseed(request.params.group)
    return { node: host.view().self }
  })
  api.get('/api/v1/decisions', () => host.admin.decisions())
  api.get('/api/v1/events', () => host.admin.events())
  api.get('/api/v1/events/follow', (request, reply) => {
    reply.hijack()
    reply.raw.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
    reply.raw.write(': following\n\n')
    const stop = host.onEvent((event) => reply.raw.write(`data: ${JSON.stringify(event)}\n\n`))
    request.raw.on('close', stop)
  })
  api.get('/metrics', (_request, reply) => reply.type('text/plain; version=0.0.4').send(host.metrics()))
  return api
}

function parse<Schema extends z.ZodType>(schema: Schema, body: unknown): z.infer<Schema> {
  const result = schema.safeParse(body ?? {})
  if (result.success) return result.data
  throw new HandoffError('REQUEST_INVALID', result.error.issues.map((issue) => `${issue.path.join('.') || '(body)'}: ${issue.message}`).join('; '))
}

function sendProblem(reply: FastifyReply, failure: unknown): FastifyReply {
  const known = failure instanceof HandoffError ? failure : null
  const status = known === null ? 500 : (statusOf[known.code] ?? 503)
  const problem: Problem = {
    type: 'about:blank',
    title: known?.code ?? 'INTERNAL',
    status,
    code: known?.code ?? 'INTERNAL',
    detail: failure instanceof Error ? failure.message : String(failure),
    remedy: known?.remedy ?? 'The log of handoffd has the details.',
  }
  return reply.code(status).type('application/problem+json').send(problem)
}
