import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { SigningKeyEntry } from '../authenticity/signing-keys.ts'
import { HandoffError } from '../errors.ts'
import { read } from './read.ts'

export const newSigningKey = z.strictObject({
  domain: z.string().min(1).max(253),
  selector: z.string().min(1).max(63).default('handoff'),
  algorithm: z.enum(['rsa-sha256', 'ed25519-sha256']).default('rsa-sha256'),
})
export type NewSigningKey = z.infer<typeof newSigningKey>

/** What the admin API does with the keys that sign mail, handed in by the daemon. */
export interface SigningKeyAdmin {
  /** @throws HandoffError SIGNING_KEY_EXISTS, SIGNING_KEY_INVALID */
  createSigningKey(wanted: NewSigningKey): Promise<SigningKeyEntry>
  listSigningKeys(): Promise<readonly SigningKeyEntry[]>
  /** @returns whether there was one */
  removeSigningKey(domain: string, selector: string): Promise<boolean>
}

const one = z.object({ domain: z.string(), selector: z.string() })

export function signingKeyRoutes(app: FastifyInstance, admin: SigningKeyAdmin): void {
  app.get('/api/v1/signing-keys', () => admin.listSigningKeys())
  app.post('/api/v1/signing-keys', async (request, reply) => reply.code(201).send(await admin.createSigningKey(read(newSigningKey, request.body))))
  app.delete('/api/v1/signing-keys/:domain/:selector', async (request) => {
    const { domain, selector } = read(one, request.params)
    if (!(await admin.removeSigningKey(domain, selector))) throw new HandoffError('SIGNING_KEY_UNKNOWN', `there is no key ${selector} of ${domain}`)
    return { removed: true }
  })
}
