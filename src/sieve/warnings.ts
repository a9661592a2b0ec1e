import type { Position } from './error.ts'
import { limits } from './limits.ts'
import type { Program, Statement } from './program.ts'

/** What is no error, but hardly meant, in the order of the script: each with its line and column. */
export function warningsOf(program: Program): readonly string[] {
  const excess: Position[] = []
  redirectsAfter(program.statements, 0, excess)
  return excess.map(
    ({ line, column }) =>
      `line ${line}, column ${column}: this may be more than the ${limits.redirects} redirects that one message gets; then the script fails and the message is kept`,
  )
}

/**
 * How many redirects the longest way through the statements may have done, when `before` were done ahead of them; undefined when every way ends there.
 * Notes those beyond the limit.
 */
function redirectsAfter(statements: readonly Statement[], before: number, excess: Position[]): number | undefined {
  let count = before
  for (const statement of statements) {
    if (statement.kind === 'broken') return undefined
    if (statement.kind === 'if') {
      const ways = [...statement.branches.map(({ block }) => block), statement.otherwise]
      const counts = ways.map((way) => redirectsAfter(way, count, excess)).filter((after) => after !== undefined)
      if (counts.length === 0) return undefined
      count = Math.max(...counts)
    } else if (statement.call.name === 'stop') return undefined
    else if (statement.call.name === 'redirect' && ++count > limits.redirects) excess.push(statement.call.position)
  }
  return count
}
