const minute = 60_000
const hour = 60 * minute

/** Waits between attempts, in ms; the last one repeats (RFC 5321 §4.5.4.1: at least 30 minutes, but for the first few). */
const waits = [5 * minute, 10 * minute, 20 * minute, 40 * minute, hour] as const
export const delayToldAfterMs = 4 * hour
/** RFC 5321 §4.5.4.1: four to five days. */
export const givenUpAfterMs = 5 * 24 * hour

export interface Deferred {
  /** When to try again, in ms from now; null: it is given up. */
  readonly waitMs: number | null
  /** The sender is told of the delay now. */
  readonly tellDelay: boolean
}

/** After an attempt that failed for now. `random` in [0, 1): messages that failed together are not tried together. */
export function afterFailure(given: {
  readonly attempts: number
  readonly queuedForMs: number
  readonly delayTold: boolean
  readonly random: number
}): Deferred {
  if (given.queuedForMs >= givenUpAfterMs) return { waitMs: null, tellDelay: false }
  const wait = waits[Math.min(given.attempts, waits.length) - 1] ?? waits[0]
  // Not later than the end, so that the last attempt is made then.
  const waitMs = Math.min(Math.round(wait * (0.9 + 0.2 * given.random)), givenUpAfterMs - given.queuedForMs)
  return { waitMs, tellDelay: !given.delayTold && given.queuedForMs >= delayToldAfterMs }
}
