import { createSocket } from 'node:dgram'
import { accessSync, constants } from 'node:fs'
import { isIPv6 } from 'node:net'
import { join } from 'node:path'
import type { Config } from '../../config/config.ts'
import { HandoffError } from '../../errors.ts'
import { checkVersion } from '../../postgres/control-data.ts'
import { postgresOsUser } from '../../postgres/os-user.ts'

const programs = ['initdb', 'pg_basebackup', 'pg_controldata', 'pg_rewind', 'pg_waldump']

/**
 * What a node needs that its configuration cannot show, looked at before anything is started. Not done when parts of this node run
 * already: they are adopted, and refusing would end what serves.
 * @throws HandoffError HEARTBEAT_PORT_IN_USE, POSTGRES_MISSING, POSTGRES_USER_MISSING
 */
export async function preflight(config: Config): Promise<void> {
  for (const { address, name } of config.networks) await checkHeartbeatPort(address, config.heartbeat.port, name)
  if (config.role === 'data') await checkPostgres(config.postgres.binDirectory)
}

/** An address that is not there yet is no reason: its network may come up later. */
async function checkHeartbeatPort(address: string, port: number, network: string): Promise<void> {
  const code = await new Promise<string | null>((resolve) => {
    const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4')
    socket.once('error', (failure: NodeJS.ErrnoException) => {
      socket.close()
      resolve(failure.code ?? 'error')
    })
    socket.bind({ address, port, exclusive: true }, () => socket.close(() => resolve(null)))
  })
  if (code === 'EADDRINUSE')
    throw new HandoffError('HEARTBEAT_PORT_IN_USE', `cannot listen for heartbeats on ${address} UDP port ${port} (network "${network}"): another process does`)
}

async function checkPostgres(binDirectory: string): Promise<void> {
  // Of the copies that are there each is compared with the version when it is started: one that does not fit stops only itself.
  await checkVersion(binDirectory, join(binDirectory, 'none'), postgresOsUser())
  for (const program of programs) {
    const file = join(binDirectory, program)
    try {
      accessSync(file, constants.X_OK)
    } catch (cause) {
      throw new HandoffError('POSTGRES_MISSING', `cannot run "${file}" (postgres.binDirectory): ${(cause as Error).message}`, { cause })
    }
  }
}
