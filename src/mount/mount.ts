import type { MountTarget, Queries, WaitOptions } from './target.ts'

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
