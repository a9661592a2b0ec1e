import { HandoffError } from '../errors.ts'

/** Both from 1; columns count UTF-16 code units. */
export interface Position {
  readonly line: number
  readonly column: number
}

/** A script that is refused. The only error that parsing and compiling throw. */
export class SieveError extends HandoffError {
  readonly position: Position
  /** Without the position. */
  readonly problem: string
  constructor(position: Position, problem: string) {
    super('SIEVE_SCRIPT_INVALID', `line ${position.line}, column ${position.column}: ${problem}`)
    this.name = 'SieveError'
    this.position = position
    this.problem = problem
  }
}

export function found(text: string): string {
  return text.length > 40 ? `"${text.slice(0, 40)}..."` : `"${text}"`
}
