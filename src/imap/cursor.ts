import type { Literal, RawCommand } from './command-reader.ts'
import { type NumberRange, parseSequenceSet } from './sequence-set.ts'

/** The client said something that the grammar does not have: tagged BAD. */
export class SyntaxFault extends Error {
  /** Response code, without brackets. */
  readonly responseCode: string | undefined
  constructor(message: string, responseCode?: string) {
    super(message)
    this.name = 'SyntaxFault'
    this.responseCode = responseCode
  }
}

// RFC 9051 §9: atom-specials are ( ) { SP CTL % * DQUOTE \ ]; 8-bit is never an atom.
const atomChars = /[^\x00-\x20\x7f-\xff(){%*"\\\]]+/y
const astringChars = /[^\x00-\x20\x7f-\xff(){%*"\\]+/y
const listChars = /[^\x00-\x20\x7f-\xff(){"\\]+/y
const tagChars = /[^\x00-\x20\x7f-\xff(){%*"\\+]{1,64}/y
const quotedChars = /"((?:[^"\\\r\n\0]|\\["\\])*)"/y
const sequenceSetChars = /[0-9*:,]+/y
const numberChars = /\d{1,20}/y

/** Walks over one command by the grammar of RFC 9051 §9. Each method takes one production or throws a SyntaxFault. Strings are binary (a byte per unit). */
export class Cursor {
  readonly #texts: readonly string[]
  readonly #literals: readonly Literal[]
  #tag = '*'
  #index = 0
  #at = 0

  constructor(command: RawCommand) {
    this.#texts = command.texts
    this.#literals = command.literals
  }

  get #text(): string {
    return this.#texts[this.#index] ?? ''
  }

  tag(): string {
    this.#tag = this.#match(tagChars, 'a tag')
    return this.#tag
  }

  /** The tag taken before; ESEARCH repeats it. */
  get tagGiven(): string {
    return this.#tag
  }

  space(): void {
    this.expect(' ')
  }

  /** Nothing may be left. */
  end(): void {
    if (!this.atEnd()) throw new SyntaxFault(`Unexpected characters after the arguments`)
  }

  atEnd(): boolean {
    return this.#at >= this.#text.length && this.#index >= this.#texts.length - 1
  }

  /** @param text compared without regard to case */
  peek(text: string): boolean {
    return this.#text.slice(this.#at, this.#at + text.length).toUpperCase() === text
  }

  peekChar(): string {
    return this.#text.slice(this.#at, this.#at + 1)
  }

  /** @returns whether it was there and has been taken */
  take(text: string): boolean {
    if (!this.peek(text)) return false
    this.#at += text.length
    return true
  }

  expect(text: string): void {
    if (!this.take(text)) throw new SyntaxFault(text === ' ' ? 'Expected a space' : `Expected "${text}"`)
  }

  atom(): string {
    return this.#match(atomChars, 'an atom')
  }

  /** An atom in upper case: keywords. */
  keyword(): string {
    return this.atom().toUpperCase()
  }

  /** A keyword that may be followed by `[`, as in FETCH items. */
  itemName(): string {
    return this.#match(/[A-Za-z0-9.]+/y, 'an item name').toUpperCase()
  }

  number(max = 0xffffffff): number {
    const value = Number(this.#match(numberChars, 'a number'))
    if (value > max) throw new SyntaxFault('Number too large')
    return value
  }

  /** RFC 7162: mod-sequences are 63-bit; ours stay below 2^53. */
  modseq(): number {
    return this.number(Number.MAX_SAFE_INTEGER)
  }

  string(): string {
    if (this.peek('"')) return this.#quoted()
    return this.literal().bytes.toString('latin1')
  }

  astring(): string {
    if (this.peek('"') || this.#atLiteral()) return this.string()
    return this.#match(astringChars, 'an atom or string')
  }

  nstring(): string | undefined {
    if (this.peek('"') || this.#atLiteral()) return this.string()
    this.expect('NIL')
    return undefined
  }

  /** list-mailbox: an astring that may have wildcards. */
  listMailbox(): string {
    if (this.peek('"') || this.#atLiteral()) return this.string()
    return this.#match(listChars, 'a mailbox pattern')
  }

  literal(): Literal {
    const literal = this.#literals[this.#index]
    if (!this.#atLiteral() || literal === undefined) throw new SyntaxFault('Expected a string')
    this.#index++
    this.#at = 0
    return literal
  }

  sequenceSet(): readonly NumberRange[] {
    const set = parseSequenceSet(this.#match(sequenceSetChars, 'a sequence set'))
    if (set === undefined) throw new SyntaxFault('Invalid sequence set')
    return set
  }

  /** True if what follows can only be a sequence set. */
  atSequenceSet(): boolean {
    return /^[0-9*]/.test(this.peekChar())
  }

  /** A flag or keyword as the client wrote it. `\Recent` is the server's alone and refused. */
  flag(): string {
    const system = this.take('\\')
    const name = this.atom()
    return system ? `\\${name}` : name
  }

  flagList(): string[] {
    return this.list(() => this.flag())
  }

  /** `(` items separated by one space `)`; may be empty. */
  list<T>(item: () => T): T[] {
    this.expect('(')
    const items: T[] = []
    if (this.take(')')) return items
    do items.push(item())
    while (this.take(' '))
    this.expect(')')
    return items
  }

  /** date, quoted or not: day number since 1970-01-01 in no time zone. */
  date(): { readonly year: number; readonly month: number; readonly day: number } {
    const quoted = this.take('"')
    const text = this.#match(/\d{1,2}-[A-Za-z]{3}-\d{4}/y, 'a date')
    if (quoted) this.expect('"')
    const [day, month, year] = text.split('-') as [string, string, string]
    return validDate(Number(year), months.indexOf(month.toLowerCase()), Number(day))
  }

  dateTime(): Date {
    const text = this.#match(/"[ \d]\d-[A-Za-z]{3}-\d{4} \d\d:\d\d:\d\d [+-]\d{4}"/y, 'a date and time')
    const parts = /^"([ \d]\d)-([A-Za-z]{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)"$/.exec(text) as RegExpExecArray
    const [, day, monthName, year, hours, minutes, seconds, sign, zoneHours, zoneMinutes] = parts as unknown as string[]
    const { month } = validDate(Number(year), months.indexOf((monthName ?? '').toLowerCase()), Number(day))
    if (Number(hours) > 23 || Number(minutes) > 59 || Number(seconds) > 60 || Number(zoneMinutes) > 59) throw new SyntaxFault('Invalid time')
    const zone = (Number(zoneHours) * 60 + Number(zoneMinutes)) * (sign === '-' ? -1 : 1)
    return new Date(Date.UTC(Number(year), month, Number(day), Number(hours), Number(minutes) - zone, Number(seconds)))
  }

  /** The rest of the text, as it is. */
  rest(): string {
    const rest = this.#text.slice(this.#at)
    this.#at = this.#text.length
    return rest
  }

  #quoted(): string {
    quotedChars.lastIndex = this.#at
    const match = quotedChars.exec(this.#text)
    if (!match) throw new SyntaxFault('Invalid quoted string')
    this.#at += match[0].length
    return (match[1] as string).replace(/\\(["\\])/g, '$1')
  }

  #atLiteral(): boolean {
    return this.#index < this.#literals.length && /^~?\{\d{1,20}[+-]?\}$/.test(this.#text.slice(this.#at))
  }

  #match(pattern: RegExp, what: string): string {
    pattern.lastIndex = this.#at
    const match = pattern.exec(this.#text)
    if (!match) throw new SyntaxFault(`Expected ${what}`)
    this.#at += match[0].length
    return match[0]
  }
}

export const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']

function validDate(year: number, month: number, day: number) {
  const date = new Date(Date.UTC(year, month, day))
  if (month < 0 || year < 1000 || date.getUTCMonth() !== month || date.getUTCDate() !== day) throw new SyntaxFault('Invalid date')
  return { year, month, day }
}
