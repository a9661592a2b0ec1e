import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { HandoffError } from '../errors.ts'
import type { QueueChange, QueueEntry } from '../queue/queue.ts'
import { read } from './read.ts'

export type QueuedRecipient = QueueEntry & { readonly database: string }

/** What the admin API does with the outbound queue, handed in by the daemon. */
export interface QueueAdmin {
  /** Recipients that are on their way; of one message also those that are over, for some days. */
  listQueue(which: { readonly database?: string | undefined; readonly id?: number | undefined }): Promise<readonly QueuedRecipient[]>
  /** @returns how many recipients were changed; an attempt that is under way is left alone. @throws HandoffError QUEUED_MESSAGE_UNKNOWN */
  changeQueue(how: QueueChange, which: { readonly database?: string | undefined; readonly id: number }): Promise<number>
}

const id = z.coerce.number().int().min(1)
const database = z.string().min(1).optional()
const listed = z.strictObject({ database, id: id.optional() })
const one = z.object({ id })
const place = z.strictObject({ database })

export function queueRoutes(app: FastifyInstance, admin: QueueAdmin): void {
  app.get('/api/v1/queue', (request) => admin.listQueue(read(listed, request.query)))
  app.get('/api/v1/queue/:id', async (request) => {
    const { id } = read(one, request.params)
    const found = await admin.listQueue({ ...read(place, request.query), id })
    if (found.length === 0) throw unknownMessage(id)
    return found
  })
  for (const how of ['hold', 'release', 'retry', 'remove'] as const)
    app.post(`/api/v1/queue/:id/${how}`, async (request) => ({
      changed: await admin.changeQueue(how, { ...read(place, request.query), ...read(one, request.params) }),
    }))
}

export function unknownMessage(id: number): HandoffError {
  return new HandoffError('QUEUED_MESSAGE_UNKNOWN', `there is no message ${id} in the queue`)
}
