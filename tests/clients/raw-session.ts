import { connect, type Socket } from 'node:net'

/** A raw client of a line protocol: says bytes, waits until what has come matches, and hands it over. */
export class RawSession {
  readonly socket: Socket
  #text = ''
  #wake: () => void = () => {}

  constructor(port: number, host = '127.0.0.1') {
    this.socket = connect(port, host)
    this.socket.setEncoding('latin1')
    this.socket.setNoDelay(true)
    this.socket.on('error', () => {})
    this.socket.on('data', (chunk: string) => this.#add(chunk))
    this.socket.on('close', () => this.#add('<closed>'))
  }

  /** The greeting and LHLO or EHLO done. */
  static async open(port: number, hello: string): Promise<RawSession> {
    const session = new RawSession(port)
    await session.until(/^220 .*\r\n/m)
    await session.say(`${hello}\r\n`, /^250 .*\r\n/m)
    return session
  }

  get received(): string {
    return this.#text
  }

  async until(pattern: RegExp, withinMs = 20_000): Promise<string> {
    const end = performance.now() + withinMs
    while (!pattern.test(this.#text)) {
      const left = end - performance.now()
      if (left <= 0 || (this.#text.endsWith('<closed>') && !pattern.test('<closed>'))) throw new Error(`wanted ${pattern}, got ${JSON.stringify(this.#text)}`)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
        setTimeout(resolve, left).unref()
      })
    }
    const text = this.#text
    this.#text = ''
    return text
  }

  say(bytes: string, pattern: RegExp, withinMs?: number): Promise<string> {
    this.socket.write(bytes, 'latin1')
    return this.until(pattern, withinMs)
  }

  #add(text: string): void {
    this.#text += text
    this.#wake()
  }
}
