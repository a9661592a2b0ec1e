import { HandoffError } from '../errors.ts'
import { Pool } from './pool.ts'
import type { Session } from './session.ts'
import type { MountTarget, Queries, WaitOptions } from './target.ts'
import { isTransient, UnconfirmedCommit } from './transient.ts'

export interface MountOptions {
  /** For messages. */
  readonly name: string
  readonly poolSize?: number
  /** How long a call waits for a database that is held or lost: default 60 s. */
  readonly waitMsMax?: number
}

/** A mailbox database that can be held, moved and resumed under its users. */
export interface Mount {
  readonly name: string
  /** Where it is now; undefined before the first word. */
  readonly current: MountTarget | undefined
  target(next: MountTarget): void
  /** One statement or a few that only read; tried again on the next target when the connection is lost. */
  read<T>(fn: (db: Queries) => Promise<T>, options?: WaitOptions): Promise<T>
  /** Several statements that see one state (repeatable read). */
  snapshot<T>(fn: (db: Queries) => Promise<T>, options?: WaitOptions): Promise<T>
  /** One transaction, executed exactly once for `operationKey`, however often connection or database are lost. The result must be JSON. */
  write<T>(operationKey: string, fn: (db: Queries) => Promise<T>, options?: WaitOptions): Promise<T>
  /**
   * A single statement that is its own transaction: it must check the epoch (`handoff.check_epoch($1)`, which is given to `fn`) and do no harm when it is
   * executed twice. One round trip.
   */
  idempotent<T>(fn: (db: Queries, epoch: number) => Promise<T>, options?: WaitOptions): Promise<T>
  close(): Promise<void>
}

const defaults = { poolSize: 6, waitMsMax: 60_000 } as const
const backOffMs = { first: 10, factor: 1.5, max: 50 } as const

export function createMount(options: MountOptions): Mount {
  return new MountedDatabase(options)
}

/** One caller's patience: over when its limit or its signal says so. */
interface Patience {
  over: boolean
  lastError: unknown
}

/** What is known of a write: whether a former attempt may have been committed. */
interface Outcome {
  unknown: boolean
}

class MountedDatabase implements Mount {
  readonly name: string
  readonly #options: MountOptions
  readonly #wake = new Set<() => void>()
  #pool: Pool | undefined
  #current: MountTarget | undefined
  #closed = false

  constructor(options: MountOptions) {
    this.name = options.name
    this.#options = options
  }

  get current(): MountTarget | undefined {
    return this.#current
  }

  target(next: MountTarget): void {
    if (this.#closed) return
    this.#current = next
    if (!this.#pool || !samePlace(this.#pool.target, next)) {
      this.#pool?.retire()
      this.#pool = new Pool(next, this.#options.poolSize ?? defaults.poolSize)
    }
    this.#wakeAll()
  }

  read<T>(fn: (db: Queries) => Promise<T>, options: WaitOptions = {}): Promise<T> {
    return this.#patiently(options, (session) => fn(session))
  }

  snapshot<T>(fn: (db: Queries) => Promise<T>, options: WaitOptions = {}): Promise<T> {
    return this.#patiently(options, async (session) => {
      await session.begin('isolation level repeatable read read only')
      const result = await fn(session)
      await session.query('commit')
      return result
    })
  }

  write<T>(operationKey: string, fn: (db: Queries) => Promise<T>, options: WaitOptions = {}): Promise<T> {
    const outcome: Outcome = { unknown: false }
    return this.#patiently(options, (session) => attemptWrite(session, { operationKey, outcome }, fn))
  }

  idempotent<T>(fn: (db: Queries, epoch: number) => Promise<T>, options: WaitOptions = {}): Promise<T> {
    return this.#patiently(options, async (session, epoch) => {
      const result = await fn(session, epoch)
      session.requireConfirmed()
      return result
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#pool?.retire()
    this.#wakeAll()
  }

  /** Runs `work` until it is done or answered. The caller stops waiting at its limit; an attempt that is under way then runs to its end. */
  #patiently<T>(options: WaitOptions, work: (session: Session, epoch: number) => Promise<T>): Promise<T> {
    const { signal } = options
    const waitMsMax = options.waitMsMax ?? this.#options.waitMsMax ?? defaults.waitMsMax
    return new Promise<T>((resolve, reject) => {
      const patience: Patience = { over: false, lastError: undefined }
      const giveUp = (error: unknown) => {
        patience.over = true
        reject(error)
        this.#wakeAll()
      }
      const onTime = () => giveUp(this.#unavailable(waitMsMax, patience.lastError))
      const onAbort = () => giveUp(signal?.reason)
      if (signal?.aborted) return reject(signal.reason)
      const timer = setTimeout(onTime, waitMsMax)
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#attempts(work, patience)
        .then(resolve, reject)
        .finally(() => {
          clearTimeout(timer)
          signal?.removeEventListener('abort', onAbort)
        })
    })
  }

  async #attempts<T>(work: (session: Session, epoch: number) => Promise<T>, patience: Patience): Promise<T> {
    let pauseMs: number = backOffMs.first
    for (;;) {
      const pool = await this.#ready(patience)
      let session: Session | undefined
      try {
        session = await pool.acquire()
        // It may have been held, or given up, while we queued for a connection.
        if (this.#pool === pool && this.#current?.held === false && !patience.over) {
          const result = await work(session, pool.target.epoch)
          pool.release(session)
          return result
        }
        pool.release(session)
      } catch (error) {
        // Whatever state the session is in, it is not worth finding out: the next one is clean.
        if (session) pool.discard(session)
        if (!isTransient(error)) throw error
        patience.lastError = error
        await this.#pause(pool, pauseMs)
        pauseMs = Math.min(pauseMs * backOffMs.factor, backOffMs.max)
      }
    }
  }

  /** The pool of the present target, as soon as there is one that is not held. */
  async #ready(patience: Patience): Promise<Pool> {
    for (;;) {
      if (patience.over) throw this.#unavailable(0, patience.lastError)
      if (this.#closed) throw new HandoffError('DATABASE_UNAVAILABLE', `the mailbox database "${this.name}" is being closed`, { cause: patience.lastError })
      if (this.#pool && this.#current?.held === false) return this.#pool
      await new Promise<void>((resolve) => this.#wake.add(resolve))
    }
  }

  /** A moment, or until the next word about the target: a restart in place is told by nobody. */
  #pause(pool: Pool, ms: number): Promise<void> {
    if (this.#pool !== pool) return Promise.resolve()
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        this.#wake.delete(done)
        resolve()
      }
      const timer = setTimeout(done, ms * (0.5 + Math.random()))
      this.#wake.add(done)
    })
  }

  #wakeAll(): void {
    const waiting = [...this.#wake]
    this.#wake.clear()
    for (const wake of waiting) wake()
  }

  #unavailable(waitedMs: number, cause: unknown): HandoffError {
    const why =
      this.#current === undefined
        ? 'it has not been told where it is'
        : this.#current.held
          ? 'it is held'
          : cause instanceof Error
            ? cause.message
            : 'no answer'
    return new HandoffError('DATABASE_UNAVAILABLE', `the mailbox database "${this.name}" could not be used for ${waitedMs} ms: ${why}`, { cause })
  }
}

/**
 * The key is looked up only when a commit may have happened before: a connection that was lost between COMMIT and its answer leaves
 * that open. Found means done; and it is confirmed by a commit of our own, because it may have been let go by a wait that was cut
 * short, and only a later commit that the standbys confirmed says that they have it.
 */
async function attemptWrite<T>(
  session: Session,
  write: { readonly operationKey: string; readonly outcome: Outcome },
  fn: (db: Queries) => Promise<T>,
): Promise<T> {
  const { operationKey, outcome } = write
  await session.begin('read write')
  if (outcome.unknown) {
    const { rows } = await session.query<{ result: T }>('update handoff.operation set confirmations = confirmations + 1 where key = $1 returning result', [
      operationKey,
    ])
    if (rows[0]) {
      await session.query('commit')
      session.requireConfirmed()
      return rows[0].result
    }
  }
  const result = await fn(session)
  outcome.unknown = true
  try {
    await session.recordAndCommit(operationKey, JSON.stringify(result ?? null))
  } catch (error) {
    if (isDoneMeanwhile(error)) throw new UnconfirmedCommit()
    throw error
  }
  return result
}

/** The former attempt was still committing when this one began: its key is there now. */
function isDoneMeanwhile(error: unknown): boolean {
  const { code, constraint } = error as { readonly code?: unknown; readonly constraint?: unknown }
  return code === '23505' && constraint === 'operation_pkey'
}

function samePlace(a: MountTarget, b: MountTarget): boolean {
  return a.host === b.host && a.port === b.port && a.user === b.user && a.password === b.password && a.database === b.database && a.epoch === b.epoch
}
