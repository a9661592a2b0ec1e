/** Another instance than the one that was meant: its epoch is not the target's, or it is a standby. */
export class WrongInstance extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'WrongInstance'
  }
}

/** The server let a commit go without its standbys' word (PostgreSQL manual, "Synchronous Replication"): not known until confirmed. */
export class UnconfirmedCommit extends Error {
  constructor() {
    super('the commit was not confirmed by the synchronous standbys')
    this.name = 'UnconfirmedCommit'
  }
}

/** The session's place is no longer where the database is. */
export class Moved extends Error {
  constructor() {
    super('the database has moved')
    this.name = 'Moved'
  }
}

const networkCodes: ReadonlySet<string> = new Set(
  'ECONNREFUSED ECONNRESET ECONNABORTED EPIPE ETIMEDOUT EHOSTUNREACH EHOSTDOWN ENETUNREACH ENETDOWN ENOENT ENOTCONN EADDRNOTAVAIL ENOTFOUND EAI_AGAIN'.split(
    ' ',
  ),
)

/**
 * SQLSTATEs (PostgreSQL manual, appendix A) that say "not here" or "not now", not "no": the statement was not carried out, and the
 * next active copy, or the same one a moment later, will carry it out.
 */
const stateCodes: ReadonlySet<string> = new Set([
  '57P01', // admin_shutdown
  '57P02', // crash_shutdown
  '57P03', // cannot_connect_now
  '57P05', // idle_session_timeout
  '25P03', // idle_in_transaction_session_timeout
  '25006', // read_only_sql_transaction: a standby, or the gate is closed
  '28000', // invalid_authorization_specification: pg_hba.conf of a closed gate
  '53300', // too_many_connections
  '40001', // serialization_failure, and a conflict with recovery
  '40P01', // deadlock_detected
  'HO001', // raised by handoff.check_epoch
])

/** Whether to wait and try again. Everything else is an answer, and the caller's to handle. */
export function isTransient(error: unknown): boolean {
  if (error instanceof WrongInstance || error instanceof UnconfirmedCommit || error instanceof Moved) return true
  if (!(error instanceof Error)) return false
  const { code } = error as { readonly code?: unknown }
  if (typeof code === 'string') return networkCodes.has(code) || stateCodes.has(code) || /^08/.test(code)
  if (error instanceof AggregateError) return error.errors.length > 0 && error.errors.every(isTransient)
  // The driver's own words have no code.
  return /^(Connection terminated|Client has encountered a connection error|Client was closed|timeout expired|This socket has been ended|Client network socket disconnected)/i.test(
    error.message,
  )
}
