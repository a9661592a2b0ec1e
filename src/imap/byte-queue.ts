/** What one line read from the queue turned out to be. `head` and `tail` of a line too long: enough for its tag and a literal marker at its end. */
export type LineRead =
  | { readonly kind: 'line'; readonly bytes: Buffer }
  | { readonly kind: 'tooLong'; readonly head: Buffer; readonly tail: Buffer }
  | { readonly kind: 'end' }

/** How much of a line that is too long is thrown away while looking for its end, before the connection is given up. */
const discardBytesMax = 1024 * 1024
const tailBytes = 64

/**
 * Received bytes on their way to the one who reads them. Memory is bounded by back-pressure: `push` says when the sender is to
 * pause, `onLow` when it may go on. One reader at a time.
 */
export class ByteQueue {
  readonly #highWaterBytes: number
  readonly #onLow: () => void
  #chunks: Buffer[] = []
  #length = 0
  #ended = false
  #full = false
  #wake: (() => void) | undefined

  constructor(options: { readonly highWaterBytes: number; readonly onLow: () => void }) {
    this.#highWaterBytes = options.highWaterBytes
    this.#onLow = options.onLow
  }

  get length(): number {
    return this.#length
  }

  get ended(): boolean {
    return this.#ended
  }

  /** @returns false when the sender should pause until `onLow` */
  push(chunk: Buffer): boolean {
    if (this.#ended || chunk.length === 0) return !this.#full
    this.#chunks.push(chunk)
    this.#length += chunk.length
    this.#full = this.#length >= this.#highWaterBytes
    this.#notify()
    return !this.#full
  }

  end(): void {
    this.#ended = true
    this.#notify()
  }

  /** Forgets what was received and not read (RFC 9051 §6.2.1: nothing sent before TLS may be taken as sent inside it). */
  clear(): void {
    this.#take(this.#length)
  }

  /** One line, without its CRLF or bare LF. What was received before the end is still given, an unfinished line is not. */
  async readLine(bytesMax: number): Promise<LineRead> {
    let scannedChunks = 0
    let scannedBytes = 0
    for (;;) {
      for (; scannedChunks < this.#chunks.length; scannedChunks++) {
        const chunk = this.#chunks[scannedChunks] as Buffer
        const at = chunk.indexOf(0x0a)
        if (at >= 0) {
          const line = withoutLineEnd(this.#take(scannedBytes + at + 1))
          return line.length > bytesMax ? { kind: 'tooLong', head: line.subarray(0, bytesMax), tail: line.subarray(-tailBytes) } : { kind: 'line', bytes: line }
        }
        scannedBytes += chunk.length
      }
      if (scannedBytes > bytesMax + 2) return this.#discardLine(this.#take(scannedBytes).subarray(0, bytesMax))
      if (this.#ended) return { kind: 'end' }
      await this.#more()
    }
  }

  /** Exactly `count` bytes; undefined when the connection ends before. */
  async read(count: number): Promise<Buffer | undefined> {
    if (this.#length >= count) return this.#take(count)
    // Taken as they come: a peer that announces 64 MB has not thereby made us allocate them, and the queue stays below its mark.
    const parts: Buffer[] = []
    let missing = count
    while (missing > 0) {
      if (this.#length === 0) {
        if (this.#ended) return undefined
        await this.#more()
        continue
      }
      const part = this.#take(Math.min(missing, this.#length))
      parts.push(part)
      missing -= part.length
    }
    return Buffer.concat(parts, count)
  }

  /** @returns false when the connection ended before */
  async skip(count: number): Promise<boolean> {
    let missing = count
    while (missing > 0) {
      if (this.#length === 0) {
        if (this.#ended) return false
        await this.#more()
        continue
      }
      missing -= this.#take(Math.min(missing, this.#length)).length
    }
    return true
  }

  async #discardLine(head: Buffer): Promise<LineRead> {
    let tail: Buffer = Buffer.alloc(0)
    let discarded = 0
    while (discarded < discardBytesMax) {
      const first = this.#chunks[0]
      if (first === undefined) {
        if (this.#ended) return { kind: 'end' }
        await this.#more()
        continue
      }
      const at = first.indexOf(0x0a)
      const taken = this.#take(at >= 0 ? at + 1 : first.length)
      discarded += taken.length
      tail = Buffer.concat([tail, taken.subarray(-tailBytes)]).subarray(-tailBytes)
      if (at >= 0) return { kind: 'tooLong', head, tail: withoutLineEnd(tail) }
    }
    this.end()
    return { kind: 'end' }
  }

  #take(count: number): Buffer {
    const parts: Buffer[] = []
    let missing = count
    while (missing > 0) {
      const first = this.#chunks[0] as Buffer
      if (first.length <= missing) {
        this.#chunks.shift()
        parts.push(first)
        missing -= first.length
      } else {
        parts.push(first.subarray(0, missing))
        this.#chunks[0] = first.subarray(missing)
        missing = 0
      }
    }
    this.#length -= count
    if (this.#full && this.#length < this.#highWaterBytes) {
      this.#full = false
      this.#onLow()
    }
    return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts)
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }

  #notify(): void {
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }
}

function withoutLineEnd(line: Buffer): Buffer {
  let end = line.length
  if (end > 0 && line[end - 1] === 0x0a) end--
  if (end > 0 && line[end - 1] === 0x0d) end--
  return line.subarray(0, end)
}
