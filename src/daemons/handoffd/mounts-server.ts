import { unlinkSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import type { DatabaseConfig } from '../../admin/cluster-admin.ts'
import type { View } from '../../groups/view.ts'
import type { MountsMessage } from '../../mount/mounts.ts'

/**
 * Tells every mailbox service of this node the mounts: the whole state as one JSON line, again whenever it changes. Nothing is said
 * before the first `publish`: a service that serves since before this process goes on as it was told last.
 */
export class MountsServer {
  private readonly server: Server
  private readonly clients = new Set<Socket>()
  private line: string | null = null

  /** @param changed called when a mailbox service has come or gone */
  constructor(path: string, changed: () => void) {
    try {
      unlinkSync(path)
    } catch {
      // No socket of a former run.
    }
    this.server = createServer((socket) => {
      this.clients.add(socket)
      changed()
      socket.on('close', () => {
        this.clients.delete(socket)
        changed()
      })
      socket.on('error', () => socket.destroy())
      if (this.line !== null) socket.write(this.line)
    })
    this.server.listen(path)
  }

  /** Is a mailbox service listening to us? */
  get connected(): boolean {
    return this.clients.size > 0
  }

  publish(mounts: MountsMessage): void {
    const line = `${JSON.stringify(mounts)}\n`
    if (line === this.line) return
    this.line = line
    for (const client of this.clients) client.write(line)
  }

  close(): void {
    for (const client of this.clients) client.destroy()
    this.server.close()
  }
}

export interface MountDetails {
  readonly user: string
  readonly password: string
  readonly databases: readonly DatabaseConfig[]
  /** Servers whose listeners are to be open here. */
  readonly serving: ReadonlySet<string>
}

/** Where each database is and which servers are served here, as the records say now. */
export function mountsOf(view: View, details: MountDetails): MountsMessage {
  const servers = view.groups
    .filter((group) => group.config.kind === 'server' && group.config.nodes.includes(view.self))
    .map((group) => ({
      name: group.config.name,
      address: [...group.config.addresses],
      serving: details.serving.has(group.config.name),
      databases: [...group.config.databases],
      ...(group.config.hostName === undefined ? {} : { hostName: group.config.hostName }),
      ports: group.config.ports,
    }))
  const databases = details.databases.flatMap((database) => {
    const group = view.groups.find((candidate) => candidate.config.name === database.storageGroup)
    const owner = group?.record === null || group?.record === undefined ? undefined : view.nodes.get(group.record.owner)
    if (group?.record === undefined || group.record === null || owner === undefined) return []
    return [
      {
        name: database.name,
        storageGroup: database.storageGroup,
        epoch: group.record.epoch,
        host: owner.replicationHost,
        port: group.config.ports.postgres ?? 5432,
        user: details.user,
        password: details.password,
        held: group.record.state !== 'online',
      },
    ]
  })
  return { type: 'mounts', servers, databases }
}
