/** Where a mailbox database can be reached now. */
export interface MountTarget {
  /** A directory (absolute path) means the Unix socket in it. */
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password?: string | undefined
  readonly database: string
  /** 0: the instance is under no cluster, the epoch is not checked. */
  readonly epoch: number
  /** Commands wait instead of being sent. */
  readonly held: boolean
}

export interface WaitOptions {
  /** Ends the caller's wait; what has been sent is never cancelled. */
  readonly signal?: AbortSignal
  /** Replaces the mount's limit on waiting. */
  readonly waitMsMax?: number
}

export interface QueryResult<R> {
  readonly rows: R[]
  readonly rowCount: number
}

/** One session of the database, for the length of a call. int8 comes as a number. A `name` makes it a prepared statement. */
export interface Queries {
  query<R extends object = Record<string, unknown>>(text: string, values?: readonly unknown[], name?: string): Promise<QueryResult<R>>
}
