import { type Comparator, fold, hasSubstrings, isComparator, order } from './comparator.ts'
import { charge, Fault } from './fault.ts'
import { matchGlob } from './glob.ts'
import { limits } from './limits.ts'
import type { Call } from './program.ts'
import { compileRegex, matchRegex, type Regex, RegexError } from './regex.ts'
import { type Run, stringsOf, tagString } from './run.ts'

type Relation = 'gt' | 'ge' | 'lt' | 'le' | 'eq' | 'ne'

type Match =
  | { readonly kind: 'is' | 'contains' | 'matches' | 'regex'; readonly comparator: Comparator }
  | { readonly kind: 'value' | 'count'; readonly comparator: Comparator; readonly relation: Relation }

export interface MatchOptions {
  /** RFC 5173 §6: what `body` finds sets no match variables. */
  readonly variables?: 'kept'
  /** Instead of the last argument as it stands. */
  readonly keys?: readonly string[]
}

/** Whether a value and a key, the last argument of the test, match as its tags say (RFC 5228 §2.7). */
export function anyMatches(run: Run, call: Call, values: readonly string[], options: MatchOptions = {}): boolean {
  const match = matchOf(run, call)
  const keys = options.keys ?? stringsOf(run, call.values.at(-1))
  // RFC 5231 §4.2: the number of values, as a decimal number.
  const compared = match.kind === 'count' ? [String(values.length)] : values
  for (const value of compared) {
    charge(run.budget, 1 + (value.length >> 1))
    const folded = fold(value, match.comparator)
    for (const key of keys) {
      const found = matchOne(run, match, { value, folded }, key)
      if (!found) continue
      if (found.length > 0 && options.variables !== 'kept') run.matched = found
      return true
    }
  }
  return false
}

/** @returns what the match variables become, none for match types that have none; undefined without a match */
function matchOne(run: Run, match: Match, { value, folded }: { readonly value: string; readonly folded: string }, key: string): readonly string[] | undefined {
  charge(run.budget, 1 + (folded.length >> 6) + (key.length >> 4))
  const wanted = match.kind === 'regex' ? key : fold(key, match.comparator)
  switch (match.kind) {
    case 'is':
      return folded === wanted ? [] : undefined
    case 'contains':
      return folded.includes(wanted) ? [] : undefined
    case 'matches':
      return matchGlob(value, folded, wanted, run.budget)
    case 'regex':
      return matchRegex(regexOf(run, key, match.comparator), value, run.budget)
    case 'value':
    case 'count':
      return isRelated(order(folded, wanted, match.comparator), match.relation) ? [] : undefined
  }
}

function matchOf(run: Run, call: Call): Match {
  const comparator = tagString(run, call, 'comparator') ?? 'i;ascii-casemap'
  if (!isComparator(comparator)) throw new Fault(`there is no comparator "${comparator}"`)
  for (const kind of ['value', 'count'] as const) {
    const relation = tagString(run, call, kind)
    if (relation !== undefined) return { kind, comparator, relation: relationOf(relation) }
  }
  const kind = (['contains', 'matches', 'regex'] as const).find((tag) => call.tags.has(tag)) ?? 'is'
  if (kind !== 'is' && !hasSubstrings(comparator)) throw new Fault(`the comparator "${comparator}" cannot be used with ":${kind}"`)
  return { kind, comparator }
}

function relationOf(text: string): Relation {
  if (text === 'gt' || text === 'ge' || text === 'lt' || text === 'le' || text === 'eq' || text === 'ne') return text
  throw new Fault(`there is no relation "${text}"`)
}

function isRelated(difference: number, relation: Relation): boolean {
  switch (relation) {
    case 'gt':
      return difference > 0
    case 'ge':
      return difference >= 0
    case 'lt':
      return difference < 0
    case 'le':
      return difference <= 0
    case 'eq':
      return difference === 0
    case 'ne':
      return difference !== 0
  }
}

function regexOf(run: Run, pattern: string, comparator: Comparator): Regex {
  const letters = comparator === 'i;octet' ? 'exact' : 'caseless'
  const known = run.regexes.get(letters + pattern)
  if (known) return known
  try {
    const regex = compileRegex(pattern, letters)
    charge(run.budget, regex.instructions.length + pattern.length)
    if (run.regexes.size < limits.regexesKept) run.regexes.set(letters + pattern, regex)
    return regex
  } catch (error) {
    if (error instanceof RegexError) throw new Fault(`the regular expression "${pattern.slice(0, 80)}": ${error.message}`)
    throw error
  }
}
