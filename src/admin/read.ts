import type { z } from 'zod'
import { HandoffError } from '../errors.ts'

/** What a client gave, checked. @throws HandoffError REQUEST_INVALID that names every fault */
export function read<Schema extends z.ZodType>(schema: Schema, given: unknown): z.infer<Schema> {
  const result = schema.safeParse(given ?? {})
  if (result.success) return result.data
  throw new HandoffError('REQUEST_INVALID', result.error.issues.map((issue) => `${issue.path.join('.') || 'body'}: ${issue.message}`).join('; '))
}
