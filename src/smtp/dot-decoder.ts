const CR = 13
const LF = 10
const DOT = 46

/** Where in the text the decoder stands. The dot, and the CR after it, are held back until it is clear what they are. */
type Position = 'lineStart' | 'text' | 'cr' | 'dot' | 'dotCr'

/**
 * Undoes dot-stuffing (RFC 5321 §4.5.2) and finds the end of the text, in whatever pieces it comes. Only CRLF "." CRLF ends it: what
 * other servers took for an end (LF "." LF and its like) is text, so that no second message can be smuggled in the first.
 */
export class DotDecoder {
  // The CRLF of the DATA command counts as the one before the first line.
  #position: Position = 'lineStart'

  /** @returns the number of bytes of this chunk up to and with the end of the text; undefined when it is not in it */
  decode(chunk: Buffer, sink: (piece: Buffer) => void): number | undefined {
    let from = 0
    const emit = (to: number) => {
      if (to > from) sink(chunk.subarray(from, to))
    }
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i]
      switch (this.#position) {
        case 'text': {
          const cr = chunk.indexOf(CR, i)
          if (cr < 0) i = chunk.length
          else {
            i = cr
            this.#position = 'cr'
          }
          break
        }
        case 'cr':
          this.#position = byte === LF ? 'lineStart' : byte === CR ? 'cr' : 'text'
          break
        case 'lineStart':
          if (byte === DOT) {
            emit(i)
            from = i + 1
            this.#position = 'dot'
          } else this.#position = byte === CR ? 'cr' : 'text'
          break
        case 'dot':
          if (byte === CR) {
            from = i + 1
            this.#position = 'dotCr'
          } else this.#position = 'text'
          break
        case 'dotCr':
          if (byte === LF) return i + 1
          sink(Buffer.of(CR))
          this.#position = byte === CR ? 'cr' : 'text'
          break
      }
    }
    emit(chunk.length)
    return undefined
  }
}
