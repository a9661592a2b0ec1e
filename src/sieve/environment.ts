import type { ZonedTime } from './date.ts'

/** What a run may ask of the world. Every answer is at hand: where looking it up takes time, `evaluateAsking` runs the script again. */
export interface Environment {
  readonly now: ZonedTime
  /** Of the owner of the script, besides the recipient of the envelope: mail to them is answered by `vacation`, mail from them is not. */
  readonly ownAddresses: readonly string[]
  /** There, and mail may be put into it (RFC 5490 §3.1). */
  mailboxExists(name: string): boolean
  /** RFC 8579: the mailboxes of the owner with this special use. */
  mailboxesWith(specialUse: string): readonly string[]
  /** RFC 7352: this key was tracked and has not expired. */
  isDuplicate(key: string): boolean
  /** RFC 5183: an item by its name, lower case; undefined when it is not known. */
  item(name: string): string | undefined
}

export interface Envelope {
  /** Without brackets; empty for the null reverse-path. */
  readonly from: string
  readonly to: string
}
