import { HandoffError } from '../errors.ts'

export interface WaitOptions {
  readonly timeoutMs: number
  readonly everyMs?: number
  readonly signal?: AbortSignal | undefined
  /** For the message: "waited 500 ms for …". */
  readonly what: string
}

/** Looks at a condition until it gives something other than null or false. */
export async function waitFor<T>(look: () => T | null | false | Promise<T | null | false>, options: WaitOptions): Promise<T> {
  const end = performance.now() + options.timeoutMs
  for (;;) {
    options.signal?.throwIfAborted()
    const found = await look()
    if (found !== null && found !== false) return found
    if (performance.now() >= end) throw new HandoffError('POSTGRES_TIMEOUT', `waited ${options.timeoutMs} ms for ${options.what}`)
    await pause(options.everyMs ?? 1)
  }
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
