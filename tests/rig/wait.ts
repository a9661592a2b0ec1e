import { setTimeout as pause } from 'node:timers/promises'

export type WaitOptions = { readonly timeoutMs: number; readonly everyMs?: number }

/**
 * Waits until a condition gives a value other than undefined or false.
 * @throws Error naming the condition, with the last error that it threw
 */
export async function until<T>(what: string, condition: () => Promise<T | undefined | false> | T | undefined | false, options: WaitOptions): Promise<T> {
  const end = performance.now() + options.timeoutMs
  let last: unknown
  for (;;) {
    try {
      const value = await condition()
      if (value !== undefined && value !== false) return value
    } catch (error) {
      last = error
    }
    if (performance.now() > end) throw new Error(`waited ${options.timeoutMs} ms in vain: ${what}`, { cause: last })
    await pause(options.everyMs ?? 50)
  }
}

/** Lets time pass where time itself is the subject: how long a fault lasts, how long writes flow before it. */
export async function letPass(ms: number): Promise<void> {
  await pause(ms)
}
