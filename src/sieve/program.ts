import type { Position } from './error.ts'

/** A script that has passed every check that can be made without a message. */
export interface Program {
  readonly statements: readonly Statement[]
}

export type Statement =
  | { readonly kind: 'if'; readonly branches: readonly Branch[]; readonly otherwise: readonly Statement[] }
  | { readonly kind: 'command'; readonly call: Call }
  /** Wrong, but behind an `ihave` that this server cannot grant: an error only when it is reached (RFC 5463 §4). */
  | { readonly kind: 'broken'; readonly problem: string }

export interface Branch {
  readonly test: Call
  readonly block: readonly Statement[]
}

/** A command or a test with its arguments sorted out. */
export interface Call {
  readonly name: string
  readonly position: Position
  readonly tags: ReadonlyMap<string, Value | undefined>
  /** Of the optional first argument, undefined when it was left out; then the others. */
  readonly first: Value | undefined
  readonly values: readonly Value[]
  readonly tests: readonly Call[]
  /** Of the test `broken`, which stands for one behind an `ihave` that cannot be granted. */
  readonly problem?: string
}

export type Value = { readonly kind: 'number'; readonly value: number } | { readonly kind: 'strings'; readonly texts: readonly Text[] }

/** A string with its variable references; without any it is one piece at most. */
export interface Text {
  readonly position: Position
  readonly pieces: readonly Piece[]
}

export type Piece = string | VariableReference

/** By name, lower case, or the number of a match variable (RFC 5229 §3). */
export interface VariableReference {
  readonly variable: string | number
}

/** Undefined when it depends on variables. */
export function constant(text: Text): string | undefined {
  const [first, ...rest] = text.pieces
  if (first === undefined) return ''
  return typeof first === 'string' && rest.length === 0 ? first : undefined
}
