import { once } from 'node:events'
import { mkdir, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { dirname } from 'node:path'
import { HandoffError } from '../../errors.ts'

/**
 * Makes the path free for listening. A socket file outlives the process that was killed, so whether it is in use is told by
 * somebody answering, not by the file.
 * @throws HandoffError SOCKET_IN_USE
 */
export async function freeSocketPath(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const socket = connect(path)
  try {
    await once(socket, 'connect')
  } catch {
    await rm(path, { force: true })
    return
  } finally {
    socket.destroy()
  }
  throw new HandoffError('SOCKET_IN_USE', `cannot listen on "${path}": another process answers there`)
}
