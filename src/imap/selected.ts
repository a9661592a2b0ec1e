import type { AccountMail, FlagState, MailboxEntry, MessageContent, OpenedMailbox } from '../mailbox/account-mail.ts'
import { SyntaxFault } from './cursor.ts'
import type { Output } from './output.ts'
import { type NumberRange, normaliseSet, resolveStar } from './sequence-set.ts'

/** `$` stands for the result of SEARCH RETURN (SAVE) (RFC 5182). */
export type MessageSet = readonly NumberRange[] | '$'

export interface SelectedOptions {
  readonly mailbox: MailboxEntry
  readonly opened: OpenedMailbox
  readonly readOnly: boolean
  /** The first UID that is \Recent to this session. */
  readonly recentFrom: number
}

/** What of a change is told, and how: depends on what the session has enabled and on the command in progress. */
export interface Telling {
  /** RFC 9051 §7.5.1: no EXPUNGE while a FETCH, STORE or SEARCH by sequence numbers is in progress. */
  readonly expunges: boolean
  readonly modseq: boolean
  /** IMAP4rev2 has no RECENT. */
  readonly recent: boolean
}

/**
 * The mailbox as this client believes it to be: sequence numbers are positions in `uids`, and that list changes only by telling
 * the client. `state` is the mod-sequence up to which everything has been told, so no change is told twice or left out, whichever
 * copy of the database answers.
 */
export class SelectedMailbox {
  readonly mailbox: MailboxEntry
  readonly readOnly: boolean
  readonly uidValidity: number
  /** Set by the store's watch, or when a change has been made; a change between sessions is looked for only then. */
  changed = false
  saved: ReadonlySet<number> = new Set()
  /** The message read last, for clients that fetch a large one piece by piece: a UID's content never changes. */
  kept: { readonly uid: number; readonly content: MessageContent } | undefined
  #uids: number[]
  #uidNext: number
  #state: number
  readonly #recent = new Set<number>()
  /** Expunged elsewhere, not told yet. */
  readonly #gone = new Set<number>()
  /** Flag changes of our own commands that the client knows already. */
  readonly #told = new Map<number, number>()

  constructor(options: SelectedOptions) {
    this.mailbox = options.mailbox
    this.readOnly = options.readOnly
    this.uidValidity = options.opened.uidValidity
    this.#uids = options.opened.messages.map((message) => message.uid)
    this.#uidNext = options.opened.uidNext
    this.#state = options.opened.highestModseq
    for (const uid of this.#uids) if (uid >= options.recentFrom) this.#recent.add(uid)
  }

  get count(): number {
    return this.#uids.length
  }

  get recentCount(): number {
    return this.#recent.size
  }

  get highestModseq(): number {
    return this.#state
  }

  get uids(): readonly number[] {
    return this.#uids
  }

  isRecent(uid: number): boolean {
    return this.#recent.has(uid)
  }

  isGone(uid: number): boolean {
    return this.#gone.has(uid)
  }

  /** Position from 1; 0 if the client does not know the message. */
  sequenceOf(uid: number): number {
    const at = lowerBound(this.#uids, uid)
    return this.#uids[at] === uid ? at + 1 : 0
  }

  flagsOf(state: FlagState): string {
    return `(${(this.#recent.has(state.uid) ? [...state.flags, '\\Recent'] : state.flags).join(' ')})`
  }

  /** The UIDs of a set, ascending. */
  resolve(set: MessageSet, by: 'uid' | 'sequence'): number[] {
    if (set === '$') return this.#uids.filter((uid) => this.saved.has(uid))
    const largest = by === 'uid' ? (this.#uids.at(-1) ?? 0) : this.#uids.length
    const result: number[] = []
    for (const { first, last } of normaliseSet(resolveStar(set, largest))) {
      if (by === 'sequence') {
        if (first < 1 || last > this.#uids.length) throw new SyntaxFault('No message has that sequence number')
        append(result, this.#uids, first - 1, last)
      } else append(result, this.#uids, lowerBound(this.#uids, first), lowerBound(this.#uids, last + 1))
    }
    return result
  }

  /** Our own command has told (or, with .SILENT, need not tell) these flags. */
  noteTold(uid: number, modseq: number): void {
    this.#told.set(uid, modseq)
    this.changed = true
  }

  /** Looks what has happened since `state` and tells it. */
  async update(store: AccountMail, out: Output, telling: Telling): Promise<void> {
    this.changed = false
    let changes: Awaited<ReturnType<AccountMail['changesSince']>>
    try {
      changes = await store.changesSince(this.mailbox.id, this.#state)
    } catch (error) {
      this.changed = true
      throw error
    }
    for (const uid of changes.vanished) if (this.sequenceOf(uid) > 0) this.#gone.add(uid)
    if (telling.expunges) this.#tellExpunges(out)
    const arrived = changes.changed.filter((message) => message.uid >= this.#uidNext)
    if (arrived.length > 0) await this.#tellArrivals(store, out, arrived, telling)
    this.#uidNext = Math.max(this.#uidNext, changes.uidNext)
    const arrivedFrom = arrived[0]?.uid ?? Infinity
    for (const message of changes.changed) {
      if (message.uid >= arrivedFrom || this.#gone.has(message.uid)) continue
      const sequence = this.sequenceOf(message.uid)
      if (sequence === 0 || (this.#told.get(message.uid) ?? 0) >= message.modseq) continue
      out.line(`* ${sequence} FETCH (UID ${message.uid} FLAGS ${this.flagsOf(message)}${telling.modseq ? ` MODSEQ (${message.modseq})` : ''})`)
    }
    this.#state = Math.max(this.#state, changes.highestModseq)
    this.#told.clear()
  }

  /** Tells what was kept back while a command by sequence numbers ran. */
  #tellExpunges(out: Output): void {
    if (this.#gone.size === 0) return
    // From the end, so that each number is right at its moment without recounting.
    for (let i = this.#uids.length - 1; i >= 0; i--) if (this.#gone.has(this.#uids[i] as number)) out.line(`* ${i + 1} EXPUNGE`)
    this.#uids = this.#uids.filter((uid) => !this.#gone.has(uid))
    for (const uid of this.#gone) this.#recent.delete(uid)
    this.#gone.clear()
  }

  async #tellArrivals(store: AccountMail, out: Output, arrived: readonly FlagState[], telling: Telling): Promise<void> {
    const recentFrom = this.readOnly || !telling.recent ? Infinity : await store.claimRecent(this.mailbox.id)
    for (const { uid } of arrived) {
      this.#uids.push(uid)
      if (uid >= recentFrom) this.#recent.add(uid)
    }
    out.line(`* ${this.#uids.length} EXISTS`)
    if (telling.recent) out.line(`* ${this.#recent.size} RECENT`)
  }
}

/** The first position whose value is not below `value`. */
export function lowerBound(ascending: readonly number[], value: number): number {
  let low = 0
  let high = ascending.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((ascending[middle] as number) < value) low = middle + 1
    else high = middle
  }
  return low
}

/** Not `push` with a spread: a hundred thousand arguments overflow the stack. */
function append(target: number[], values: readonly number[], from: number, to: number): void {
  for (let i = from; i < to; i++) target.push(values[i] as number)
}
