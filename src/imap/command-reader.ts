import type { ByteQueue } from './byte-queue.ts'

/**
 * One command as it came: `texts[i]` is followed by `literals[i]`. Texts hold one byte per UTF-16 unit ("binary strings"), so that
 * nothing is lost or judged before the grammar says what it is.
 */
export interface RawCommand {
  readonly texts: readonly string[]
  readonly literals: readonly Literal[]
}

export interface Literal {
  readonly bytes: Buffer
  /** `~{n}`: may hold NUL (RFC 9051 §4.3.2, literal8) */
  readonly binary: boolean
}

export type CommandRead =
  | { readonly kind: 'command'; readonly command: RawCommand }
  | { readonly kind: 'refused'; readonly tag: string; readonly reply: string; readonly thenClose: boolean }
  | { readonly kind: 'end' }

export interface ReadLimits {
  readonly lineBytesMax: number
  readonly literalsMax: number
  /** Sum of all literals of a command but APPEND. */
  readonly literalBytesMax: number
  /** APPEND's message, RFC 7889's APPENDLIMIT; 0 before login: nobody unknown makes us hold a message. */
  readonly appendBytesMax: number
}

const literalMarker = /(~?)\{(\d{1,20})([+-]?)\}$/

/**
 * Assembles the next command from lines and literals. A synchronising literal that is not wanted is refused instead of asked for;
 * a non-synchronising one is on its way already and is skipped, or, when it is out of all proportion, the connection ends.
 * @param askForMore sends the command continuation request
 */
export async function readCommand(queue: ByteQueue, limits: ReadLimits, askForMore: () => void): Promise<CommandRead> {
  const texts: string[] = []
  const literals: Literal[] = []
  let lineBytes = 0
  let literalBytes = 0
  let tag = '*'
  let refusal: string | undefined
  for (;;) {
    const read = await queue.readLine(limits.lineBytesMax - lineBytes)
    if (read.kind === 'end') return read
    if (read.kind === 'tooLong') {
      if (texts.length === 0) tag = tagOf(read.head.toString('latin1'))
      // What follows a non-synchronising literal of a line we threw away would be read as commands: better no connection.
      const thenClose = literalMarker.test(read.tail.toString('latin1'))
      return { kind: 'refused', tag, reply: refusal ?? 'BAD [TOOBIG] Command line too long', thenClose }
    }
    const text = read.bytes.toString('latin1')
    if (texts.length === 0) tag = tagOf(text)
    lineBytes += text.length
    if (refusal === undefined) {
      if (text.includes('\0')) refusal = 'BAD NUL is not permitted in a command'
      else texts.push(text)
    }
    const marker = literalMarker.exec(text)
    if (!marker) {
      if (refusal !== undefined) return { kind: 'refused', tag, reply: refusal, thenClose: false }
      return { kind: 'command', command: { texts, literals } }
    }
    const size = Number(marker[2])
    const synchronising = marker[3] === ''
    const isAppend = /^[^ ]+ APPEND /i.test(texts[0] ?? '')
    const sizeMax = (isAppend ? limits.appendBytesMax : 0) + limits.literalBytesMax - literalBytes
    if (isAppend && size > sizeMax) refusal ??= 'NO [TOOBIG] Message too large'
    else if (size > sizeMax) refusal ??= 'BAD [TOOBIG] Literal too large'
    else if (literals.length >= limits.literalsMax) refusal ??= 'BAD [TOOBIG] Too many literals'
    if (refusal !== undefined) {
      if (synchronising) return { kind: 'refused', tag, reply: refusal, thenClose: false }
      if (size > 2 * Math.max(limits.appendBytesMax, limits.literalBytesMax)) return { kind: 'refused', tag, reply: refusal, thenClose: true }
      if (!(await queue.skip(size))) return { kind: 'end' }
      continue
    }
    if (synchronising) askForMore()
    const bytes = await queue.read(size)
    if (bytes === undefined) return { kind: 'end' }
    literalBytes += size
    literals.push({ bytes, binary: marker[1] === '~' })
  }
}

/** The tag of a line, or `*` where there is none to answer to. */
export function tagOf(line: string): string {
  return /^([^\x00-\x20\x7f-\xff(){%*"\\+]{1,64})(?: |$)/.exec(line)?.[1] ?? '*'
}
