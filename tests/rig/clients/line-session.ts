import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

export type LineTarget = { readonly host: string; readonly port: number; readonly tls: 'implicit' | 'none'; readonly limitMs: number }

/** A connection of lines and literals, as LMTP and IMAP have; every wait has a limit, and a failure ends it. */
export class LineSession {
  private readonly socket: Socket
  private buffer = ''
  private ended: Error | undefined
  private wake: (() => void) | undefined

  private constructor(socket: Socket) {
    this.socket = socket
    socket.setEncoding('latin1')
    socket.on('data', (chunk: string) => {
      this.buffer += chunk
      this.wake?.()
    })
    socket.on('error', (error) => this.end(error))
    socket.on('close', () => this.end(new Error('connection closed')))
  }

  static open(target: LineTarget): Promise<LineSession> {
    return new Promise((resolve, reject) => {
      const address = { host: target.host, port: target.port }
      // the certificate is the service's own: what is tested here is delivery, not trust
      const socket = target.tls === 'implicit' ? connectTls({ ...address, rejectUnauthorized: false }) : connect({ ...address, noDelay: true })
      const timer = setTimeout(() => socket.destroy(new Error(`no connection within ${target.limitMs} ms`)), target.limitMs)
      socket.once('error', reject)
      socket.once(target.tls === 'implicit' ? 'secureConnect' : 'connect', () => {
        clearTimeout(timer)
        socket.off('error', reject)
        resolve(new LineSession(socket))
      })
    })
  }

  send(text: string): void {
    this.socket.write(text, 'latin1')
  }

  async line(limitMs: number): Promise<string> {
    await this.untilBuffered(() => this.buffer.includes('\r\n'), limitMs)
    const end = this.buffer.indexOf('\r\n')
    const line = this.buffer.slice(0, end)
    this.buffer = this.buffer.slice(end + 2)
    return line
  }

  async bytes(count: number, limitMs: number): Promise<string> {
    await this.untilBuffered(() => this.buffer.length >= count, limitMs)
    const text = this.buffer.slice(0, count)
    this.buffer = this.buffer.slice(count)
    return text
  }

  close(): void {
    this.socket.destroy()
  }

  private end(error: Error): void {
    this.ended ??= error
    this.wake?.()
  }

  private untilBuffered(enough: () => boolean, limitMs: number): Promise<void> {
    if (enough()) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const finish = (error?: Error): void => {
        clearTimeout(timer)
        this.wake = undefined
        if (error === undefined) resolve()
        else reject(error)
      }
      const timer = setTimeout(() => finish(new Error(`no answer within ${limitMs} ms`)), limitMs)
      this.wake = () => {
        if (enough()) finish()
        else if (this.ended !== undefined) finish(this.ended)
      }
      this.wake()
    })
  }
}
