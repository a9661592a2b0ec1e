import { connect } from 'node:net'
import { ConnectionPool, type Host } from 'etcd3/lib/connection-pool.js'
import type { ICallable } from 'etcd3/lib/rpc.js'
import { monotonicMs } from '../../host/clock.ts'
import type { EtcdCredentials } from './options.ts'

type Service = Parameters<ICallable<Host>['exec']>[0]

/** How one call to one endpoint ended. `sent`: the member may have it. */
export type CallResult<T> =
  | { readonly kind: 'answer'; readonly value: T }
  | { readonly kind: 'failure'; readonly sent: boolean; readonly status: number; readonly why: string }

/** The parts of a gRPC client that are used here; the methods of the services are made at run time from etcd's protocol files. */
interface ServiceClient {
  waitForReady(deadline: number, done: (failure?: Error) => void): void
  getChannel(): { getConnectivityState(tryToConnect: boolean): number }
  readonly [method: string]: unknown
}
interface UnaryCall {
  cancel(): void
}
export interface DuplexCall<Request, Response> {
  write(request: Request): void
  cancel(): void
  on(event: 'data', listener: (response: Response) => void): void
  on(event: 'error', listener: (failure: Error & { code?: number; details?: string }) => void): void
  on(event: 'end', listener: () => void): void
}

/** grpc: connectivity state READY, status codes. */
const ready = 2
export const grpcStatus = {
  cancelled: 1,
  deadlineExceeded: 4,
  notFound: 5,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  outOfRange: 11,
  unavailable: 14,
  unauthenticated: 16,
} as const

let poolNumber = 0

/**
 * One member of etcd as seen from here: a connection that is made anew whenever it does not work, and whether it answered lately.
 *
 * gRPC's own reconnecting is not enough. While packets are dropped a TCP connect backs off to many seconds, and a call given to an
 * unconnected channel is neither sent nor refused. So a plain TCP connect with a short deadline comes first; a channel that is not
 * ready is replaced; and a call is given to a channel only when it is ready: before that, it surely was not sent.
 */
export class Endpoint {
  readonly url: string
  /** Answered its last call, or has not been asked. */
  healthy = true
  private readonly credentials: EtcdCredentials
  private pool: ConnectionPool | null = null
  private connecting: Promise<string | null> | null = null
  private probing = false
  private closed = false

  constructor(url: string, credentials: EtcdCredentials) {
    this.url = /^https?:\/\//.test(url) ? url : `http${credentials.tls === undefined ? '' : 's'}://${url}`
    this.credentials = credentials
  }

  get connected(): boolean {
    return this.pool !== null && isReady(this.pool)
  }

  /** Never rejects; settles by the deadline. */
  async call<T>(
    service: Service,
    method: string,
    payload: unknown,
    options: { readonly deadlineMs: number; readonly connectDeadlineMs?: number; readonly signal?: AbortSignal; readonly onSent?: () => void },
  ): Promise<CallResult<T>> {
    const why = await this.connect(Math.min(options.deadlineMs, options.connectDeadlineMs ?? options.deadlineMs))
    const { pool } = this
    if (why !== null || pool === null) return { kind: 'failure', sent: false, status: grpcStatus.unavailable, why: why ?? 'closed' }
    if (options.signal?.aborted) return { kind: 'failure', sent: false, status: grpcStatus.cancelled, why: 'not needed any more' }
    const result = await this.withClient<CallResult<T>>(pool, service, (client, metadata, settle) => {
      const deadline = Date.now() + Math.max(1, options.deadlineMs - monotonicMs())
      const start = client[method] as (
        payload: unknown,
        metadata: unknown,
        options: { deadline: number },
        done: (failure: (Error & { code: number; details: string }) | null, value: T) => void,
      ) => UnaryCall
      options.onSent?.()
      const call = start.call(client, payload, metadata, { deadline }, (failure, value) => {
        options.signal?.removeEventListener('abort', cancel)
        if (failure === null) settle({ kind: 'answer', value })
        else settle({ kind: 'failure', sent: true, status: failure.code, why: failure.details || failure.message })
      })
      const cancel = (): void => call.cancel()
      options.signal?.addEventListener('abort', cancel)
    }).catch((failure: Error): CallResult<T> => ({ kind: 'failure', sent: false, status: grpcStatus.unauthenticated, why: failure.message }))
    if (result.kind === 'answer') this.healthy = true
    else if (result.status === grpcStatus.unauthenticated || result.why.includes('invalid auth token')) this.replace(pool)
    return result
  }

  /** A two-way stream on a connection of its own. Ends with the signal; `ended` is told once, why. */
  async stream<Request, Response>(
    service: Service,
    method: string,
    handlers: { readonly onData: (response: Response) => void; readonly onEnd: (why: string) => void; readonly metadata?: Readonly<Record<string, string>> },
    options: { readonly deadlineMs: number },
  ): Promise<DuplexCall<Request, Response> | string> {
    const why = await this.connect(options.deadlineMs)
    const { pool } = this
    if (why !== null || pool === null) return why ?? 'closed'
    return this.withClient<DuplexCall<Request, Response> | string>(pool, service, (client, metadata, settle) => {
      const withMore = metadata.clone()
      for (const [name, value] of Object.entries(handlers.metadata ?? {})) withMore.set(name, value)
      const start = client[method] as (metadata: unknown) => DuplexCall<Request, Response>
      const call = start.call(client, withMore)
      call.on('data', handlers.onData)
      call.on('error', (failure) => handlers.onEnd(failure.details || failure.message))
      call.on('end', () => handlers.onEnd('the member ended the stream'))
      settle(call)
    }).catch((failure: Error) => failure.message)
  }

  /** Not answering: asked again in the background until it does, and asked last by the others meanwhile. */
  suspect(): void {
    this.healthy = false
    if (this.probing || this.closed) return
    this.probing = true
    const probe = async (): Promise<void> => {
      let failures = 0
      while (!this.closed && !this.healthy) {
        const { pool } = this
        const result = await this.call('KV', 'range', { key: Buffer.from('/handoff'), count_only: true }, { deadlineMs: monotonicMs() + 500 })
        if (result.kind === 'answer') break
        failures = pool === this.pool ? failures + 1 : 0
        // Frozen, or its packets were dropped and TCP waits long before it sends again: only a new connection tells.
        if (failures >= 3 && this.pool !== null) this.replace(this.pool)
        await new Promise((resolve) => setTimeout(resolve, 100).unref())
      }
    }
    void probe().finally(() => (this.probing = false))
  }

  close(): void {
    this.closed = true
    this.pool?.close()
    this.pool = null
  }

  /** null: ready. Otherwise why it is not, at the deadline at the latest. */
  async connect(deadlineMs: number): Promise<string | null> {
    let why: string | null = 'not connected'
    while (!this.connected) {
      const leftMs = deadlineMs - monotonicMs()
      if (this.closed) return 'closed'
      if (leftMs <= 0) return why
      this.connecting ??= this.connectOnce().finally(() => (this.connecting = null))
      let timer: NodeJS.Timeout | undefined
      const timeout = new Promise<string>((resolve) => (timer = setTimeout(() => resolve('connecting takes too long'), leftMs)))
      why = await Promise.race([this.connecting, timeout])
      clearTimeout(timer)
    }
    return null
  }

  private async connectOnce(): Promise<string | null> {
    const refused = await reach(this.url, 300)
    if (refused !== null) {
      await new Promise((resolve) => setTimeout(resolve, 30))
      return refused
    }
    if (this.pool !== null) this.replace(this.pool)
    if (this.closed) return 'closed'
    const pool = newPool(this.url, this.credentials)
    this.pool = pool
    const failure = await new Promise<Error | undefined>((resolve) => clientOf(pool, 'KV').waitForReady(Date.now() + 1000, resolve))
    return failure === undefined ? null : `reachable, but it does not speak: ${failure.message}`
  }

  private replace(pool: ConnectionPool): void {
    if (this.pool !== pool) return
    this.pool = null
    pool.close()
  }

  /** `withConnection` brings the authentication token. The function never fails inside, or the pool would end all its connections. */
  private withClient<T>(
    pool: ConnectionPool,
    service: Service,
    use: (client: ServiceClient, metadata: { clone(): { set(name: string, value: string): void } }, settle: (result: T) => void) => void,
  ): Promise<T> {
    return pool
      .withConnection(
        service,
        ({ client, metadata }) => new Promise<{ result: T }>((resolve) => use(client as unknown as ServiceClient, metadata, (result) => resolve({ result }))),
      )
      .then(({ result }) => result)
  }
}

function newPool(url: string, credentials: EtcdCredentials): ConnectionPool {
  return new ConnectionPool({
    hosts: url,
    grpcOptions: {
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 200,
      'grpc.enable_http_proxy': 0,
      'grpc.max_receive_message_length': 64 * 1024 * 1024,
      // Channels with equal options share a connection: the services of one pool should, two pools must not.
      'grpc.primary_user_agent': `handoff/${++poolNumber}`,
    },
    ...(credentials.tls === undefined ? {} : { credentials: credentials.tls }),
    ...(credentials.user === undefined
      ? {}
      : { auth: { username: credentials.user, password: credentials.password ?? '', callOptions: () => ({ deadline: Date.now() + 500 }) } }),
  })
}

function clientOf(pool: ConnectionPool, service: Service): ServiceClient {
  const [host] = (pool as unknown as { readonly hosts: readonly Host[] }).hosts
  return host!.getServiceClient(service) as unknown as ServiceClient
}

const isReady = (pool: ConnectionPool): boolean => clientOf(pool, 'KV').getChannel().getConnectivityState(true) === ready

/** null when a TCP connection comes about. */
function reach(url: string, timeoutMs: number): Promise<string | null> {
  const { hostname, port, protocol } = new URL(url)
  return new Promise((resolve) => {
    const socket = connect({ host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || (protocol === 'https:' ? 443 : 80)) })
    const done = (why: string | null): void => {
      clearTimeout(timer)
      socket.destroy()
      resolve(why)
    }
    const timer = setTimeout(() => done(`${url} cannot be reached within ${timeoutMs} ms`), timeoutMs)
    socket.once('connect', () => done(null))
    socket.once('error', (failure) => done(failure.message))
  })
}
