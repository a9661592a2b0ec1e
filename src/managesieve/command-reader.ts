import type { Input } from './input.ts'

/** `oversized`: a literal that is larger than anything the command could want; it was read past. */
export type Argument =
  | { readonly kind: 'string'; readonly bytes: Buffer }
  | { readonly kind: 'oversized'; readonly octets: number }
  | { readonly kind: 'number'; readonly value: number }

export interface RawCommand {
  /** In upper case. */
  readonly name: string
  readonly args: readonly Argument[]
}

export interface ReadLimits {
  /** Of all lines of one command, literals not counted. */
  readonly lineBytesMax: number
  /** Of all literals of one command that are kept. */
  readonly literalBytesMax: number
  /** A larger literal is not even read past. */
  readonly skippedBytesMax: number
}

/** What came is not a command (RFC 5804 §4). `session`: nor is it known where the next one begins. */
export class SyntaxFault extends Error {
  readonly ends: 'command' | 'session'
  constructor(message: string, ends: 'command' | 'session' = 'command') {
    super(message)
    this.name = 'SyntaxFault'
    this.ends = ends
  }
}

const atom = /[!#-'*-[\]-z|-~]+/y
const argument = /"((?:[^"\\\r\0]|\\["\\])*)"|\{(0|[1-9]\d*)\+\}$|(0|[1-9]\d*)(?= |$)/y
const numberMax = 2 ** 32 - 1

/**
 * The rest of a command whose first line is there: command name, then strings and numbers with one space before each. Lines hold one byte per UTF-16 unit
 * ("binary strings"), so that nothing is lost before it is known what it is.
 * @throws SyntaxFault, InputEnd
 */
export async function readCommand(firstLine: Buffer, input: Input, limits: ReadLimits): Promise<RawCommand> {
  const reading = new Reading(firstLine, input, limits)
  const name = reading.name()
  const args: Argument[] = []
  while (reading.space()) args.push(await reading.argument())
  return { name, args }
}

/** One string on its own: a client's response inside AUTHENTICATE. @throws SyntaxFault, InputEnd */
export async function readResponse(firstLine: Buffer, input: Input, limits: ReadLimits): Promise<Argument> {
  const reading = new Reading(firstLine, input, limits)
  const response = await reading.argument()
  if (reading.space()) throw reading.fault()
  return response
}

class Reading {
  readonly #input: Input
  readonly #limits: ReadLimits
  #line: string
  #at = 0
  #lineBytes: number
  #literalBytes = 0

  constructor(firstLine: Buffer, input: Input, limits: ReadLimits) {
    this.#line = firstLine.toString('latin1')
    this.#lineBytes = firstLine.length
    this.#input = input
    this.#limits = limits
  }

  name(): string {
    const [name] = this.#match(atom) ?? []
    if (name === undefined) throw this.fault()
    return name.toUpperCase()
  }

  /** @returns false at the end of the command */
  space(): boolean {
    if (this.#at === this.#line.length) return false
    if (this.#line[this.#at] !== ' ') throw this.fault()
    this.#at++
    return true
  }

  async argument(): Promise<Argument> {
    const [, quoted, octets, digits] = this.#match(argument) ?? []
    if (quoted !== undefined) return { kind: 'string', bytes: Buffer.from(quoted.replace(/\\(.)/gs, '$1'), 'latin1') }
    if (octets !== undefined) return this.#literal(Number(octets))
    if (digits === undefined || Number(digits) > numberMax) throw this.fault()
    return { kind: 'number', value: Number(digits) }
  }

  /** A literal at the end of a line that is wrong is on its way nevertheless: what is in it would be taken for commands. */
  fault(): SyntaxFault {
    const literalFollows = /\{\d+\+?\}$/.test(this.#line)
    return new SyntaxFault(`Syntax error at octet ${this.#at + 1} of the line`, literalFollows ? 'session' : 'command')
  }

  async #literal(octets: number): Promise<Argument> {
    if (octets > this.#limits.skippedBytesMax) throw new SyntaxFault(`A literal of ${octets} octets is far too large`, 'session')
    const isKept = this.#literalBytes + octets <= this.#limits.literalBytesMax
    if (isKept) this.#literalBytes += octets
    const literal: Argument = isKept ? { kind: 'string', bytes: await this.#input.bytes(octets) } : { kind: 'oversized', octets }
    if (!isKept) await this.#input.skip(octets)
    const next = await this.#input.line(Math.max(0, this.#limits.lineBytesMax - this.#lineBytes))
    this.#line = next.toString('latin1')
    this.#lineBytes += next.length
    this.#at = 0
    return literal
  }

  #match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at
    const match = pattern.exec(this.#line)
    if (match) this.#at = pattern.lastIndex
    return match ?? undefined
  }
}
