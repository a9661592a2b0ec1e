import { setMaxListeners } from 'node:events'
import { monotonicMs } from '../../host/clock.ts'
import { type CallResult, type Endpoint, grpcStatus } from './endpoint.ts'

export interface HedgeOptions<T> {
  readonly endpoints: readonly Endpoint[]
  readonly deadlineMs: number
  readonly hedgeMs: number
  /** The request may reach etcd more than once: it changes nothing, or the second one does not pass its compare. */
  readonly repeatable: boolean
  readonly attempt: (endpoint: Endpoint, signal: AbortSignal, onSent: () => void) => Promise<CallResult<T>>
}

export type HedgeResult<T> =
  /** `doubt`: another attempt may have been carried out, or may yet be. */
  | { readonly kind: 'answer'; readonly value: T; readonly doubt: boolean }
  | { readonly kind: 'refused'; readonly status: number; readonly why: string }
  | { readonly kind: 'none'; readonly sent: boolean; readonly why: string }

/** The answers with which etcd says that it has not carried the request out, and will not. */
const refusals: ReadonlySet<number> = new Set([
  3,
  grpcStatus.notFound,
  grpcStatus.permissionDenied,
  grpcStatus.failedPrecondition,
  grpcStatus.outOfRange,
  grpcStatus.unauthenticated,
])

/**
 * Asks the endpoints in order of preference until one answers. One that is silent for `hedgeMs` is joined by the next: its host may
 * be cut off or frozen, or its leader dead. A request that is not repeatable goes on to the next only when it surely was not sent.
 */
export function hedged<T>(options: HedgeOptions<T>): Promise<HedgeResult<T>> {
  return new Promise((resolve) => {
    const order = preferred(options.endpoints)
    const abort = new AbortController()
    setMaxListeners(0, abort.signal)
    let launched = 0
    let pending = 0
    let maybeSent = 0
    let settled = false
    let why = 'no endpoint answered'
    let hedge: NodeJS.Timeout | undefined
    const finish = (result: HedgeResult<T>): void => {
      if (settled) return
      settled = true
      clearTimeout(hedge)
      clearTimeout(deadline)
      abort.abort()
      resolve(result)
    }
    const next = (): void => {
      clearTimeout(hedge)
      if (settled) return
      const endpoint = order[launched % order.length]!
      launched += 1
      pending += 1
      hedge = setTimeout(() => {
        endpoint.suspect()
        if (options.repeatable) next()
      }, options.hedgeMs)
      let sent = false
      const onSent = (): void => {
        sent = true
        maybeSent += 1
      }
      options.attempt(endpoint, abort.signal, onSent).then(
        (result) => ended(endpoint, result, sent),
        (failure: Error) => ended(endpoint, { kind: 'failure', sent, status: grpcStatus.cancelled, why: failure.message }, sent),
      )
    }
    const ended = (endpoint: Endpoint, result: CallResult<T>, sent: boolean): void => {
      if (settled) return
      pending -= 1
      if (result.kind === 'answer') {
        if (sent) maybeSent -= 1
        return finish({ kind: 'answer', value: result.value, doubt: maybeSent > 0 })
      }
      why = `${endpoint.url}: ${result.why}`
      const spaceIsOut = result.status === grpcStatus.resourceExhausted && result.why.includes('space')
      if (sent && maybeSent === 1 && (spaceIsOut || refusals.has(result.status))) return finish({ kind: 'refused', status: result.status, why })
      endpoint.suspect()
      if (!options.repeatable && maybeSent > 0) return finish({ kind: 'none', sent: true, why })
      // Not in a tight loop when every endpoint fails at once.
      if (pending === 0) hedge = setTimeout(next, launched % order.length === 0 ? 20 : 0)
    }
    const deadline = setTimeout(() => finish({ kind: 'none', sent: maybeSent > 0, why }), options.deadlineMs - monotonicMs())
    next()
  })
}

/** Connected and answering first; otherwise in the order configured. */
function preferred(endpoints: readonly Endpoint[]): Endpoint[] {
  const rank = (endpoint: Endpoint): number => (endpoint.healthy ? 0 : 2) + (endpoint.connected ? 0 : 1)
  return [...endpoints].sort((left, right) => rank(left) - rank(right))
}
