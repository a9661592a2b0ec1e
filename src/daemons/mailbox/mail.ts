import type { Logger } from 'pino'
import { type MountsMessage, noMounts, type ServerMount } from '../../mount/mounts.ts'
import type { LocalDelivery } from '../../smtp/delivery.ts'
import { localDelivery } from './local-delivery.ts'
import { isQueued, type MailDatabase, openMailDatabase } from './mail-database.ts'
import { Sending } from './sending.ts'
import type { WorkerStart } from './wire.ts'

/** The mail half of one worker process: its mounted databases, and what the protocols' listeners need of them. */
export interface Mail extends WorkerStart {
  readonly log: Logger
  setMounts(mounts: MountsMessage): void
  /** A change that another worker committed. */
  hear(change: unknown): void
  deliveryFor(server: string): LocalDelivery
  /** This worker is the one that sends what is queued, of the servers that are served here. */
  send(): void
  /** The databases that a server serves, as the mounts say now. */
  databasesOf(server: string): readonly MailDatabase[]
  /** A server as the mounts say now. */
  serverMount(server: string): ServerMount | undefined
  close(): Promise<void>
}

/** A change as it travels to the other workers. */
interface Announcement {
  readonly database: string
  readonly change: unknown
}

export function createMail(given: WorkerStart & { readonly log: Logger; readonly publish: (announcement: unknown) => void }): Mail {
  const { options } = given
  const databases = new Map<string, MailDatabase>()
  let mounts = noMounts
  let sending: Sending | undefined

  const serverMount = (server: string) => mounts.servers.find((each) => each.name === server)
  const databasesOf = (server: string) => {
    const names = serverMount(server)?.databases ?? []
    return names.map((name) => databases.get(name)).filter((database) => database !== undefined)
  }

  const mail: Mail = {
    ...given,
    databasesOf,
    serverMount,
    setMounts(next) {
      mounts = next
      const names = new Set(next.databases.map((mount) => mount.name))
      for (const [name, database] of databases) {
        if (names.has(name)) continue
        databases.delete(name)
        void database.close()
      }
      for (const mount of next.databases) {
        const known = databases.get(mount.name)
        if (known) known.update(mount)
        else {
          const publish = (change: unknown) => {
            if (isQueued(change)) sending?.poke(mount.name)
            given.publish({ database: mount.name, change } satisfies Announcement)
          }
          databases.set(
            mount.name,
            openMailDatabase(mount, { poolSize: options.poolSize, holdMsMax: options.holdMsMax, loginDomain: options.loginDomain, publish, log: given.log }),
          )
        }
      }
      sending?.setMounts(next)
    },
    hear(announcement) {
      const { database, change } = announcement as Announcement
      if (isQueued(change)) sending?.poke(database)
      else databases.get(database)?.hear(change)
    },
    deliveryFor: (server) => localDelivery(server, () => databasesOf(server)),
    send() {
      sending ??= new Sending({
        options: options.outbound,
        nameServers: options.nameServers,
        log: given.log,
        database: (name) => databases.get(name),
        deliveryFor: mail.deliveryFor,
      })
      sending.setMounts(mounts)
    },
    async close() {
      await sending?.close()
      await Promise.all([...databases.values()].map((database) => database.close()))
    },
  }
  return mail
}
