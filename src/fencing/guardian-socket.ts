import { chmodSync, unlinkSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { readJsonLines, writeJsonLine } from '../host/json-lines.ts'
import type { FromGuardian, ToGuardian } from './protocol.ts'

/** A reader that is stopped must not make the guardian's memory grow: reports beyond this are left out, the next one says it all again. */
const maxWaiting = 256 * 1024

/** Where handoffd talks to the guardian. The handoffd that said hello last is the present one; the one before it is cut off. */
export class GuardianSocket {
  private readonly server: Server
  private present: Socket | null = null

  /** @param onHello the present handoffd has changed */
  constructor(onMessage: (message: ToGuardian) => void, onHello: (pid: number) => void) {
    this.server = createServer((socket) => {
      socket.on('error', () => {}) // `close` follows
      socket.on('close', () => {
        if (this.present === socket) this.present = null
      })
      readJsonLines(socket, (value) => {
        const message = value as ToGuardian
        if (message.type === 'hello') {
          if (this.present !== socket) this.present?.destroy()
          this.present = socket
          onHello(message.pid)
        }
        // One that has been replaced does not rule any more, whatever it still had to say.
        if (this.present === socket) onMessage(message)
      })
    })
  }

  /** @param path a socket file that nobody answers on is replaced: the caller has made sure that there is no other guardian */
  listen(path: string): Promise<void> {
    try {
      unlinkSync(path)
    } catch {
      // there was none
    }
    return new Promise((resolve, reject) => {
      this.server.once('error', reject)
      this.server.listen(path, () => {
        chmodSync(path, 0o600)
        resolve()
      })
    })
  }

  tell(message: FromGuardian): void {
    if (this.present === null) return
    if (message.type === 'report' && this.present.writableLength > maxWaiting) return
    writeJsonLine(this.present, message)
  }

  close(): void {
    this.server.close()
    this.present?.end()
  }
}

/** Does a guardian (or anything) answer on the socket? */
export function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
