import { DotDecoder } from './dot-decoder.ts'
import type { Input } from './input.ts'

const firstBytes = 16 * 1024

/**
 * The content of one message as it comes in. It is copied together: a client that sends single bytes costs no more memory than its
 * message has. What is over the limit is counted, not kept.
 */
export class Content {
  readonly #limitBytes: number
  #buffer = Buffer.alloc(0)
  #length = 0

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
  }

  get tooBig(): boolean {
    return this.#length > this.#limitBytes
  }

  add(piece: Buffer): void {
    const length = this.#length + piece.length
    if (length > this.#limitBytes) this.#buffer = Buffer.alloc(0)
    else {
      if (length > this.#buffer.length) this.#grow(length)
      piece.copy(this.#buffer, this.#length)
    }
    this.#length = length
  }

  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  #grow(wanted: number): void {
    const size = Math.min(this.#limitBytes, Math.max(wanted, firstBytes, 2 * this.#buffer.length))
    const larger = Buffer.allocUnsafe(size)
    this.#buffer.copy(larger, 0, 0, this.#length)
    this.#buffer = larger
  }
}

/** What follows DATA, to its end, even when it is over the limit: the client speaks until then. */
export async function readDotStuffed(input: Input, content: Content): Promise<void> {
  const decoder = new DotDecoder()
  for (;;) {
    const chunk = await input.take()
    const end = decoder.decode(chunk, (piece) => content.add(piece))
    if (end === undefined) continue
    input.unread(chunk.subarray(end))
    return
  }
}

/** Exactly the octets of one BDAT chunk (RFC 3030 §2); to nowhere when the chunk is refused. */
export async function readChunk(input: Input, octets: number, content: Content | undefined): Promise<void> {
  let left = octets
  while (left > 0) {
    const piece = await input.take(left)
    content?.add(piece)
    left -= piece.length
  }
}
