import type { ILeaseKeepAliveRequest, ILeaseKeepAliveResponse, IRangeResponse } from 'etcd3/lib/rpc.js'
import { type CallResult, type DuplexCall, type Endpoint, grpcStatus } from './endpoint.ts'

interface CallOptions {
  readonly deadlineMs: number
  readonly connectDeadlineMs: number
  readonly signal: AbortSignal
  readonly onSent: () => void
}

/**
 * One renewal that can be relied on. etcd's leader renews a lease without asking the others, so a leader that has been cut off goes
 * on renewing for up to two election timeouts, while the new leader lets the lease run out. Therefore: the member's raft term is read
 * before, and a linearizable read (which needs a majority) after the renewal must show the same term. Then the leader that
 * renewed was still the leader afterwards.
 */
export async function renewLease(endpoint: Endpoint, lease: string, options: CallOptions): Promise<CallResult<{ readonly ttlSeconds: number }>> {
  let before = await termOf(endpoint, options)
  for (;;) {
    if (before.kind === 'failure') return before
    const renewed = await keepAliveOnce(endpoint, lease, options)
    if (renewed.kind === 'failure') return renewed
    const after = await termOf(endpoint, options)
    if (after.kind === 'answer' && after.value === before.value) return renewed
    before = after
  }
}

async function termOf(endpoint: Endpoint, options: CallOptions): Promise<CallResult<string>> {
  const result = await endpoint.call<IRangeResponse>('KV', 'range', { key: Buffer.from('/handoff'), count_only: true }, { ...options, onSent: () => {} })
  return result.kind === 'answer' ? { kind: 'answer', value: result.value.header.raft_term } : result
}

function keepAliveOnce(endpoint: Endpoint, lease: string, options: CallOptions): Promise<CallResult<{ readonly ttlSeconds: number }>> {
  return new Promise((resolve) => {
    let call: DuplexCall<ILeaseKeepAliveRequest, ILeaseKeepAliveResponse> | null = null
    const end = (result: CallResult<{ readonly ttlSeconds: number }>): void => {
      options.signal.removeEventListener('abort', abort)
      resolve(result)
      call?.cancel()
    }
    const failed = (why: string): void => end({ kind: 'failure', sent: true, status: grpcStatus.unavailable, why })
    const abort = (): void => failed('not needed any more')
    options.signal.addEventListener('abort', abort)
    const handlers = { onData: (response: ILeaseKeepAliveResponse) => end({ kind: 'answer', value: { ttlSeconds: Number(response.TTL) } }), onEnd: failed }
    void endpoint.stream<ILeaseKeepAliveRequest, ILeaseKeepAliveResponse>('Lease', 'leaseKeepAlive', handlers, options).then((started) => {
      if (typeof started === 'string') return failed(started)
      call = started
      if (options.signal.aborted) call.cancel()
      else {
        options.onSent()
        call.write({ ID: lease })
      }
    })
  })
}
