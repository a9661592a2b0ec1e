import SMTPConnection from 'nodemailer/lib/smtp-connection/index.js'

export interface Acknowledged {
  readonly id: string
  readonly at: number
}

/**
 * Keeps mail flowing into one mailbox by LMTP, one message after the other, and remembers what was acknowledged and when.
 * A connection that is closed (a 421 on a planned move, a reset on a crash) is opened again; a message whose reply was lost is sent
 * again under the same Message-ID, as every mail server does.
 */
export class MailFlow {
  readonly acknowledged: Acknowledged[] = []
  /** Replies that a person would call an error: refusals other than "try again later", and lost connections. */
  readonly errors: { readonly at: number; readonly message: string }[] = []
  private readonly target: { readonly host: string; readonly port: number; readonly to: string; readonly everyMs: number }
  private running = true
  private done: Promise<void> = Promise.resolve()
  private counter = 0

  constructor(target: { readonly host: string; readonly port: number; readonly to: string; readonly everyMs: number }) {
    this.target = target
  }

  start(): void {
    this.done = this.loop()
  }

  async stop(): Promise<void> {
    this.running = false
    await this.done
  }

  /** Longest time between two acknowledgements after `since`, in ms; grows while nothing comes. */
  longestGapMs(since: number): number {
    const times = [since, ...this.acknowledged.filter((entry) => entry.at >= since).map((entry) => entry.at)]
    return Math.max(0, ...times.slice(1).map((time, index) => time - (times[index] ?? time)))
  }

  private readonly ended = new WeakMap<SMTPConnection, Error>()

  private async loop(): Promise<void> {
    let connection: SMTPConnection | null = null
    while (this.running) {
      this.counter += 1
      const id = `<demo-${process.pid}-${this.counter}@handoff.example>`
      for (let delivered = false; !delivered && this.running; ) {
        try {
          connection ??= await this.connect()
          await this.send(connection, id)
          this.acknowledged.push({ id, at: performance.now() })
          delivered = true
        } catch (failure) {
          this.note(failure)
          connection?.close()
          connection = null
          await pause(10)
        }
      }
      await pause(this.target.everyMs)
    }
    connection?.close()
  }

  private note(failure: unknown): void {
    const error = failure as Error & { responseCode?: number; code?: string }
    // A server that says 421 asks for another connection; a refused connection is the moment before the other node listens.
    const polite = error.responseCode === 421 || error.code === 'ECONNREFUSED' || (error.code === 'ECONNECTION' && /ECONNREFUSED|421/.test(error.message))
    if (!polite) this.errors.push({ at: performance.now(), message: error.message })
  }

  private connect(): Promise<SMTPConnection> {
    return new Promise((resolve, reject) => {
      const connection = new SMTPConnection({
        host: this.target.host,
        port: this.target.port,
        lmtp: true,
        ignoreTLS: true,
        connectionTimeout: 500,
        greetingTimeout: 1000,
        socketTimeout: 60_000,
      })
      connection.once('error', reject)
      connection.connect(() => {
        connection.removeAllListeners('error')
        const ended = (failure: Error): void => void (this.ended.has(connection) || this.ended.set(connection, failure))
        connection.on('error', ended)
        connection.on('end', () => ended(Object.assign(new Error('connection closed'), { responseCode: 421 })))
        resolve(connection)
      })
    })
  }

  private send(connection: SMTPConnection, id: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const lost = (failure?: Error): void => reject(failure ?? Object.assign(new Error('connection closed'), { responseCode: 421 }))
      // What the server said while nothing was being sent: usually goodbye.
      const between = this.ended.get(connection)
      if (between !== undefined) return reject(between)
      connection.once('error', lost)
      connection.once('end', () => lost())
      const text = `From: demo@handoff.example\r\nTo: ${this.target.to}\r\nSubject: message ${this.counter}\r\nMessage-ID: ${id}\r\nDate: ${new Date().toUTCString()}\r\n\r\nHello.\r\n`
      connection.send({ from: 'demo@handoff.example', to: [this.target.to] }, text, (failure) =>
        failure === null || failure === undefined ? resolve() : reject(failure),
      )
    })
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
