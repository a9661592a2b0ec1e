import { createConnection } from 'node:net'
import { HandoffError } from '../../errors.ts'

/**
 * Does no other handoffd use this data directory? One that runs answers on its socket; what a killed one left does not.
 * @throws HandoffError NODE_ALREADY_RUNNING
 */
export async function assertAlone(socketPath: string, dataDirectory: string): Promise<void> {
  const answered = await new Promise<boolean>((resolve) => {
    const socket = createConnection(socketPath)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
  if (answered) throw new HandoffError('NODE_ALREADY_RUNNING', `cannot start in "${dataDirectory}": a handoffd that runs answers on "${socketPath}"`)
}
