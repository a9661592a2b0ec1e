import type { Socket } from 'node:net'
import { StringDecoder } from 'node:string_decoder'

/** One JSON value a line over a local stream. A line that is too long or no JSON ends the connection: the other side is not what it should be. */
export function readJsonLines(socket: Socket, onValue: (value: unknown) => void, maxLength = 4 * 1024 * 1024): void {
  const decoder = new StringDecoder('utf8')
  let rest = ''
  socket.on('data', (chunk: Buffer) => {
    rest += decoder.write(chunk)
    let from = 0
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n', from)) {
      const line = rest.slice(from, end)
      from = end + 1
      let value: unknown
      try {
        value = JSON.parse(line)
      } catch {
        socket.destroy()
        return
      }
      onValue(value)
      if (socket.destroyed) return
    }
    rest = rest.slice(from)
    if (rest.length > maxLength) socket.destroy()
  })
}

export const writeJsonLine = (socket: Socket, value: unknown): void => {
  if (!socket.destroyed && socket.writable) socket.write(`${JSON.stringify(value)}\n`)
}
