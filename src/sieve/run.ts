import type { Action } from './actions.ts'
import type { Envelope, Environment } from './environment.ts'
import { type Budget, charge, Fault } from './fault.ts'
import { limits } from './limits.ts'
import type { MessageView } from './message-view.ts'
import type { Call, Text, Value } from './program.ts'
import type { Regex } from './regex.ts'

/** Everything that changes while one script runs for one message. */
export interface Run {
  readonly message: MessageView
  readonly envelope: Envelope
  readonly environment: Environment
  readonly budget: Budget
  readonly variables: Map<string, string>
  /** RFC 5229 §3.2: of the last `:matches` or `:regex` that was true. */
  matched: readonly string[]
  /** RFC 5232 §2: the internal variable. */
  flags: readonly string[]
  readonly actions: Action[]
  /** By key; asked once, so that a script sees one answer. */
  readonly duplicates: Map<string, boolean>
  readonly withheld: string[]
  readonly regexes: Map<string, Regex>
  /** What the last `body` test looked at: a script asks for the same again and again. */
  body: { readonly key: string; readonly strings: readonly string[] } | undefined
  implicitKeep: boolean
}

export function expand(run: Run, text: Text): string {
  let whole = ''
  for (const piece of text.pieces) {
    const part = typeof piece === 'string' ? piece : variableValue(run, piece.variable)
    charge(run.budget, 1 + (part.length >> 4))
    whole += part
    if (whole.length > limits.expandedCharacters) throw new Fault('a string with its variables is too long')
  }
  return whole
}

function variableValue(run: Run, variable: string | number): string {
  return (typeof variable === 'number' ? run.matched[variable] : run.variables.get(variable)) ?? ''
}

export function setVariable(run: Run, name: string, value: string): void {
  const key = name.toLowerCase()
  if (!run.variables.has(key) && run.variables.size >= limits.variables) throw new Fault(`more than ${limits.variables} variables`)
  run.variables.set(key, truncate(value))
}

/** RFC 5229 §6: at the limit, but not within a character. */
function truncate(text: string): string {
  const cut = text.slice(0, limits.variableCharacters)
  return /[\ud800-\udbff]$/.test(cut) && cut.length < text.length ? cut.slice(0, -1) : cut
}

export function stringsOf(run: Run, value: Value | undefined): string[] {
  return value?.kind === 'strings' ? value.texts.map((text) => expand(run, text)) : []
}

export function stringOf(run: Run, value: Value | undefined): string {
  return stringsOf(run, value)[0] ?? ''
}

export function numberOf(value: Value | undefined): number | undefined {
  return value?.kind === 'number' ? value.value : undefined
}

/** Undefined when the tag was not given. */
export function tagString(run: Run, call: Call, tag: string): string | undefined {
  return call.tags.has(tag) ? stringOf(run, call.tags.get(tag)) : undefined
}
