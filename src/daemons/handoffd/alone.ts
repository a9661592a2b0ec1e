import { createConnection } from 'node:net'
import { join } from 'node:path'
import { handoffdSocket } from '../../config/paths.ts'
import { HandoffError } from '../../errors.ts'
import { type LockFile, takeLock } from '../../host/lock-file.ts'

/**
 * Takes a data directory for this handoffd. One in another container is not seen by its process number, but answers on its socket.
 * @throws HandoffError NODE_ALREADY_RUNNING
 */
export async function takeAlone(dataDirectory: string): Promise<LockFile> {
  const lock = takeLock(join(dataDirectory, 'handoffd.lock'))
  if ('holder' in lock)
    throw new HandoffError('NODE_ALREADY_RUNNING', `cannot start in "${dataDirectory}": process ${lock.holder.pid} is a handoffd that uses it`)
  const socketPath = handoffdSocket(dataDirectory)
  if (await answers(socketPath)) {
    lock.release()
    throw new HandoffError('NODE_ALREADY_RUNNING', `cannot start in "${dataDirectory}": a handoffd that runs answers on "${socketPath}"`)
  }
  return lock
}

function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(socketPath)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
