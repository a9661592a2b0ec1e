import { SMTPConnection } from 'smtp-server/lib/smtp-connection.js'

/**
 * `smtp-server`'s connection with what a server that fails over needs besides: the greeting at once (the library waits 100 ms for
 * early talkers, which each client would feel after a failover), replies with an enhanced code of our own, and a polite end.
 */
export class Connection extends SMTPConnection {
  #draining = false
  /** Called once when the session is over. Not an event of the socket: STARTTLS takes all listeners off it. */
  whenClosed: (() => void) | undefined

  override _onClose(): void {
    super._onClose()
    this.whenClosed?.()
    this.whenClosed = undefined
  }

  override init(): void {
    this._setListeners(() => {
      const { maxClients } = this._server.options
      if (maxClients && this._server.connections.size > maxClients) return this.send(421, '4.3.2 Too many sessions, try again in a moment', false)
      this.connectionReady()
    })
  }

  override send(code: number, data?: string | string[] | null, context?: string | false): void {
    const ownEnhancedCode = typeof data === 'string' && /^[245]\.\d{1,3}\.\d{1,3} /.test(data)
    super.send(code, data, ownEnhancedCode ? false : context)
    // The last word of a command has been said: everything after 354 (go on with DATA), 334 (AUTH) and 220 (STARTTLS) is one.
    if (this.#draining && code !== 421 && code !== 354 && code !== 334 && code !== 220) setImmediate(() => this.#endIfIdle())
  }

  override _onCommand(command: Buffer, callback?: () => void): void {
    if (this.#draining && !this._upgrading) return this.#end()
    super._onCommand(command, callback)
  }

  /** Lets the command that runs finish (a message in transfer is answered), then says 421 and closes (RFC 5321 §3.8). */
  drain(): void {
    this.#draining = true
    this.#endIfIdle()
  }

  #endIfIdle(): void {
    if (!this._handlerPending && !this._dataStream && !this._upgrading && !this._closing && !this._closed) this.#end()
  }

  #end(): void {
    this.send(421, `4.3.2 ${this.name} is moving to another machine, connect again now`, false)
  }
}
