/** Delays grow with failures from one address, in whatever session, and are forgotten with time. */
export class LoginThrottle {
  readonly #delayMs: { readonly first: number; readonly max: number }
  readonly #failures = new Map<string, { count: number; at: number }>()
  static readonly #forgetMs = 10 * 60_000
  static readonly #addressesMax = 10_000

  constructor(delayMs: { readonly first: number; readonly max: number }) {
    this.#delayMs = delayMs
  }

  /** @returns how long to wait before the refusal is told */
  failed(address: string): number {
    const now = performance.now()
    if (this.#failures.size >= LoginThrottle.#addressesMax) this.#forget(now)
    const known = this.#failures.get(address)
    const count = known && now - known.at < LoginThrottle.#forgetMs ? known.count + 1 : 1
    this.#failures.set(address, { count, at: now })
    return Math.min(this.#delayMs.max, this.#delayMs.first * 2 ** (count - 1))
  }

  succeeded(address: string): void {
    this.#failures.delete(address)
  }

  #forget(now: number): void {
    for (const [address, { at }] of this.#failures) if (now - at > LoginThrottle.#forgetMs) this.#failures.delete(address)
    if (this.#failures.size >= LoginThrottle.#addressesMax) this.#failures.clear()
  }
}
