import type { Position } from './error.ts'

export interface StringLiteral {
  readonly position: Position
  readonly value: string
}

export type Argument =
  | { readonly kind: 'number'; readonly position: Position; readonly value: number }
  /** Without the colon, lower case. */
  | { readonly kind: 'tag'; readonly position: Position; readonly name: string }
  /** `listed`: in brackets. RFC 5228 §2.4.2.1: a list may always be one string without them. */
  | { readonly kind: 'strings'; readonly position: Position; readonly listed: boolean; readonly values: readonly StringLiteral[] }

export interface Test {
  readonly position: Position
  /** Lower case. */
  readonly name: string
  readonly arguments: readonly Argument[]
  readonly tests: Tests
}

export type Tests = { readonly kind: 'none' } | { readonly kind: 'one'; readonly test: Test } | { readonly kind: 'list'; readonly tests: readonly Test[] }

export interface Command {
  readonly position: Position
  /** Lower case. */
  readonly name: string
  readonly arguments: readonly Argument[]
  readonly tests: Tests
  /** Undefined when the command ends with a semicolon. */
  readonly block: readonly Command[] | undefined
}
