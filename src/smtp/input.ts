const CR = 13
const LF = 10

/** Why the client's next bytes are not to be had. */
export class InputEnd extends Error {
  readonly reason: 'gone' | 'silent' | 'draining'
  constructor(reason: InputEnd['reason']) {
    super(reason)
    this.name = 'InputEnd'
    this.reason = reason
  }
}

/** `bareLineEnd`: a CR or LF without the other. `endless`: what follows a refused line does not end either. */
export type LineRead =
  | { readonly kind: 'line'; readonly bytes: Buffer }
  | { readonly kind: 'tooLong' }
  | { readonly kind: 'bareLineEnd' }
  | { readonly kind: 'endless' }

export interface InputOptions {
  readonly highWaterBytes: number
  /** How long the client may leave us waiting. */
  readonly silenceMsMax: number
  /** How much of a refused line is thrown away while looking for its end. */
  readonly skippedBytesMax: number
  /** Fewer bytes than the mark wait: the socket may go on. */
  readonly onLow: () => void
}

/**
 * Received bytes on their way to the session. Memory is bounded by back-pressure: `push` says when the socket is to pause. One
 * reader at a time; reads reject with InputEnd.
 */
export class Input {
  readonly #options: InputOptions
  #chunks: Buffer[] = []
  #length = 0
  #ended = false
  #full = false
  /** A line was refused; what is left of it is no command. */
  #skipping: { bytes: number; afterCr: boolean } | undefined
  #waiting: { readonly resolve: () => void; readonly reject: (end: InputEnd) => void } | undefined

  constructor(options: InputOptions) {
    this.#options = options
  }

  /** @returns false when the socket should pause until `onLow` */
  push(chunk: Buffer): boolean {
    if (this.#ended || chunk.length === 0) return !this.#full
    this.#chunks.push(chunk)
    this.#length += chunk.length
    this.#full = this.#length >= this.#options.highWaterBytes
    this.#waiting?.resolve()
    return !this.#full
  }

  /** No more will come. What came before is still read. */
  end(): void {
    this.#ended = true
    this.#waiting?.resolve()
  }

  /** Ends the wait for the client, if there is one. */
  interrupt(): void {
    this.#waiting?.reject(new InputEnd('draining'))
  }

  /** RFC 3207 §4.2: nothing that was sent before TLS may be taken as sent inside it. */
  clear(): void {
    this.#consume(this.#length)
    this.#skipping = undefined
  }

  /** Some bytes, at most `bytesMax`. */
  async take(bytesMax = Number.POSITIVE_INFINITY): Promise<Buffer> {
    while (this.#length === 0) await this.#more(this.#options.silenceMsMax)
    const first = this.#chunks[0] as Buffer
    const taken = first.subarray(0, Math.min(first.length, bytesMax))
    this.#consume(taken.length)
    return taken
  }

  /** Gives back the rest of what was taken. */
  unread(bytes: Buffer): void {
    if (bytes.length === 0) return
    this.#chunks.unshift(bytes)
    this.#length += bytes.length
  }

  /**
   * One line of at most `bytesMax` bytes with its end, given without it. RFC 5321 §2.3.8: only CRLF ends a line. A refused line is
   * told at once; what is left of it up to the next CRLF is skipped by the next read.
   */
  async readLine(bytesMax: number): Promise<LineRead> {
    const deadline = performance.now() + this.#options.silenceMsMax
    for (;;) {
      let read = this.#skipping && this.#skip(this.#skipping)
      if (!this.#skipping) read = this.#findLine(bytesMax)
      if (read) return read
      await this.#more(deadline - performance.now())
    }
  }

  #findLine(bytesMax: number): LineRead | undefined {
    const bytes = this.#joined()
    const lf = bytes.indexOf(LF)
    if (lf < 0 && bytes.length < bytesMax) return undefined
    if (lf < 0 || lf >= bytesMax) {
      this.#skipping = { bytes: 0, afterCr: false }
      return { kind: 'tooLong' }
    }
    this.#consume(lf + 1)
    if (lf === 0 || bytes[lf - 1] !== CR) {
      this.#skipping = { bytes: 0, afterCr: false }
      return { kind: 'bareLineEnd' }
    }
    const line = bytes.subarray(0, lf - 1)
    return line.includes(CR) ? { kind: 'bareLineEnd' } : { kind: 'line', bytes: line }
  }

  #skip(skipping: { bytes: number; afterCr: boolean }): LineRead | undefined {
    const bytes = this.#joined()
    const startsWithLf = skipping.afterCr && bytes[0] === LF
    const crlf = startsWithLf ? -1 : bytes.indexOf('\r\n')
    if (startsWithLf || crlf >= 0) {
      this.#consume(startsWithLf ? 1 : crlf + 2)
      this.#skipping = undefined
      return undefined
    }
    if (bytes.length > 0) skipping.afterCr = bytes[bytes.length - 1] === CR
    skipping.bytes += bytes.length
    this.#consume(bytes.length)
    return skipping.bytes > this.#options.skippedBytesMax ? { kind: 'endless' } : undefined
  }

  #joined(): Buffer {
    const [first, second] = this.#chunks
    if (first === undefined) return Buffer.alloc(0)
    if (second === undefined) return first
    const joined = Buffer.concat(this.#chunks, this.#length)
    this.#chunks = [joined]
    return joined
  }

  #consume(count: number): void {
    let left = count
    while (left > 0) {
      const first = this.#chunks[0] as Buffer
      if (first.length > left) this.#chunks[0] = first.subarray(left)
      else this.#chunks.shift()
      left -= Math.min(left, first.length)
    }
    this.#length -= count
    if (this.#full && this.#length < this.#options.highWaterBytes) {
      this.#full = false
      this.#options.onLow()
    }
  }

  #more(withinMs: number): Promise<void> {
    if (this.#ended) return Promise.reject(new InputEnd('gone'))
    return new Promise((resolve, reject) => {
      const done = () => {
        clearTimeout(timer)
        this.#waiting = undefined
      }
      const timer = setTimeout(() => this.#waiting?.reject(new InputEnd('silent')), Math.max(0, withinMs))
      this.#waiting = {
        resolve: () => {
          done()
          resolve()
        },
        reject: (end) => {
          done()
          reject(end)
        },
      }
    })
  }
}
