import { fileURLToPath } from 'node:url'
import type { Logger } from 'pino'
import { createMailboxApi, type ServiceHealth } from '../../admin/mailbox-api.ts'
import { type MountsMessage, noMounts } from '../../mount/mounts.ts'
import { certificateFor } from './certificate.ts'
import { freeSocketPath } from './control-socket.ts'
import { DatabaseKeeper } from './database-keeper.ts'
import { Doors } from './doors.ts'
import { MountsLink } from './mounts-link.ts'
import type { MailboxServiceOptions } from './options.ts'
import { queueKeeper } from './queue-keeper.ts'
import { sieveKeeper } from './sieve-keeper.ts'
import { signingKeyKeeper } from './signing-key-keeper.ts'
import { Workers } from './workers.ts'

const closeGraceMs = 6000

export interface MailboxService {
  health(): ServiceHealth
  close(): Promise<void>
}

/**
 * The primary process of the mailbox service: it accepts connections, gives them to the workers, migrates databases, and answers
 * the admin API. It takes part in no session, so it stays quick when the workers are busy.
 */
export async function startMailboxService(options: MailboxServiceOptions, log: Logger): Promise<MailboxService> {
  await freeSocketPath(options.controlSocket)
  const firstServer = options.standalone?.servers[0]?.name ?? 'handoff'
  const certificate = await certificateFor(options, firstServer)
  let mounts: MountsMessage = noMounts

  const keeper = new DatabaseKeeper({ options, log, changed: () => workers.setMounts(keeper.forWorkers(mounts)) })
  // The workers' code stands beside this file, compiled or not as it is.
  const exec = fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url))
  const workers = new Workers({ exec, start: { options, certificate }, mounts, log })
  const doors = new Doors({ log, accept: (socket, door) => workers.give(socket, door), closed: (server) => workers.drain(server) })

  const setMounts = (next: MountsMessage) => {
    mounts = next
    keeper.setMounts(next)
    // Before the doors: whoever comes in must find the databases.
    workers.setMounts(keeper.forWorkers(next))
    doors.setMounts(next)
  }

  const link = options.mounts ? new MountsLink({ path: options.mounts.socket, log, receive: setMounts }) : undefined
  const health = (): ServiceHealth => {
    const listeners = doors.health()
    const state = workers.health()
    const ok = listeners.every((door) => door.listening) && state.some((worker) => worker.ready)
    return {
      status: ok ? 'ok' : 'degraded',
      pid: process.pid,
      handoffd: link ? (link.connected ? 'connected' : 'away') : 'standalone',
      workers: state,
      listeners,
      databases: keeper.health(),
    }
  }
  const queue = queueKeeper(
    () => keeper.databases(),
    (database) => workers.poke(database),
  )
  const api = createMailboxApi({
    health,
    createMailbox: (wanted) => keeper.createMailbox(wanted),
    listMailboxes: () => keeper.listMailboxes(),
    ...queue,
    ...sieveKeeper(() => keeper.databases()),
    ...signingKeyKeeper(() => keeper.databases()),
  })

  workers.open()
  if (link) link.open()
  else setMounts(standaloneMounts(options))
  await api.listen({ path: options.controlSocket })
  log.info({ controlSocket: options.controlSocket, workers: options.workers }, 'mailbox service started')

  return {
    health,
    async close() {
      link?.close()
      doors.closeAll()
      await workers.close(closeGraceMs)
      await api.close()
      await keeper.close()
    },
  }
}

function standaloneMounts(options: MailboxServiceOptions): MountsMessage {
  const { servers, databases } = options.standalone ?? { servers: [], databases: [] }
  const names = databases.map((database) => database.name)
  return {
    type: 'mounts',
    servers: servers.map((server) => ({ ...server, databases: server.databases ?? names, serving: true })),
    databases: databases.map((database) => ({ ...database, storageGroup: 'standalone', held: false })),
  }
}
