const CR = 13
const LF = 10

/** Why the client's next bytes are not to be had. */
export class InputEnd extends Error {
  readonly reason: 'gone' | 'silent' | 'draining' | 'endlessLine'
  constructor(reason: InputEnd['reason']) {
    super(reason)
    this.name = 'InputEnd'
    this.reason = reason
  }
}

/**
 * Received bytes on their way to the session: RFC 5804 §1.1 knows lines, and octets of a known count. Memory is bounded by
 * back-pressure: `push` says when the socket is to pause. One reader at a time; reads reject with InputEnd.
 */
export class Input {
  readonly #highWaterBytes: number
  readonly #onLow: () => void
  /** How long the client may take for one line or one literal. */
  silenceMsMax: number
  #chunks: Buffer[] = []
  #length = 0
  #ended = false
  #full = false
  #waiting: { readonly resolve: () => void; readonly reject: (end: InputEnd) => void } | undefined

  constructor(options: { readonly highWaterBytes: number; readonly silenceMsMax: number; readonly onLow: () => void }) {
    this.#highWaterBytes = options.highWaterBytes
    this.#onLow = options.onLow
    this.silenceMsMax = options.silenceMsMax
  }

  /** @returns false when the socket should pause until `onLow` */
  push(chunk: Buffer): boolean {
    if (this.#ended || chunk.length === 0) return !this.#full
    this.#chunks.push(chunk)
    this.#length += chunk.length
    this.#full = this.#length >= this.#highWaterBytes
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

  /** Nothing that was sent before TLS may be taken as sent inside it. */
  clear(): void {
    this.#take(this.#length)
  }

  /** One line of at most `bytesMax` bytes, without its CRLF or bare LF. A longer one ends the session: where it ends is nobody's guess. */
  async line(bytesMax: number): Promise<Buffer> {
    const deadline = performance.now() + this.silenceMsMax
    let searched = 0
    for (;;) {
      const bytes = this.#joined()
      const lf = bytes.indexOf(LF, searched)
      const end = lf > 0 && bytes[lf - 1] === CR ? lf - 1 : lf
      if (end > bytesMax || (lf < 0 && bytes.length > bytesMax + 1)) throw new InputEnd('endlessLine')
      if (lf >= 0) return this.#take(lf + 1).subarray(0, end)
      searched = bytes.length
      await this.#more(deadline)
    }
  }

  /** Exactly `count` bytes, taken as they come: who announces much has not thereby made us allocate it. */
  async bytes(count: number): Promise<Buffer> {
    const parts: Buffer[] = []
    await this.#pass(count, (part) => parts.push(part))
    return Buffer.concat(parts, count)
  }

  async skip(count: number): Promise<void> {
    await this.#pass(count, () => undefined)
  }

  async #pass(count: number, give: (part: Buffer) => void): Promise<void> {
    const deadline = performance.now() + this.silenceMsMax
    for (let missing = count; missing > 0; ) {
      if (this.#length === 0) await this.#more(deadline)
      const part = this.#take(Math.min(missing, this.#length))
      missing -= part.length
      give(part)
    }
  }

  #joined(): Buffer {
    const joined = this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks, this.#length)
    this.#chunks = joined.length > 0 ? [joined] : []
    return joined
  }

  #take(count: number): Buffer {
    const joined = this.#joined()
    const rest = joined.subarray(count)
    this.#chunks = rest.length > 0 ? [rest] : []
    this.#length = rest.length
    if (this.#full && this.#length < this.#highWaterBytes) {
      this.#full = false
      this.#onLow()
    }
    return joined.subarray(0, count)
  }

  #more(deadline: number): Promise<void> {
    if (this.#ended) return Promise.reject(new InputEnd('gone'))
    return new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new InputEnd('silent')), Math.max(0, deadline - performance.now()))
      this.#waiting = {
        resolve: () => {
          clearTimeout(timer)
          resolve()
        },
        reject: (end) => {
          clearTimeout(timer)
          reject(end)
        },
      }
    }).finally(() => {
      this.#waiting = undefined
    })
  }
}
