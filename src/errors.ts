/**
 * The error value that a person can see: a stable code, what happened, why, and what to do next.
 * Codes are registered here, in one table, so that each has a remedy and a page in the manual.
 */
export interface ErrorEntry {
  /** One sentence for the manual: when this happens. */
  readonly when: string
  /** What the operator can do. May be sharpened by the place that throws. */
  readonly remedy: string
}

export const errorRegister = {
  CONFIG_UNREADABLE: { when: 'The node configuration file is missing or is not valid YAML.', remedy: 'Check the path given with --config and the line that the message names.' },
  CONFIG_INVALID: { when: 'The node configuration has unknown keys or wrong values.', remedy: 'Correct the keys listed; `handoffd --sample-config` prints a commented example.' },
} as const satisfies Record<string, ErrorEntry>

export type ErrorCode = keyof typeof errorRegister

export class HandoffError extends Error {
  readonly code: ErrorCode
  readonly remedy: string
  /**
   * @param code a key of the register
   * @param message the action, the value in quotes, what was found and what was wanted
   * @param detail `remedy` replaces the register's general one; `cause` is the underlying error
   */
  constructor(code: ErrorCode, message: string, detail: { readonly remedy?: string; readonly cause?: unknown } = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause })
    this.name = 'HandoffError'
    this.code = code
    this.remedy = detail.remedy ?? errorRegister[code].remedy
  }
}

/** A bug, not an expected failure: stays on in production, because a node that doubts itself must stop serving. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${message}`)
}

/** Ends a switch in void code: a new variant fails to compile here. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`)
}
