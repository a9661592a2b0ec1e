import type { Logger } from 'pino'
import type { DatabaseConfig, KeyedStore } from '../../admin/cluster-admin.ts'
import type { GroupId } from '../../groups/group.ts'
import type { Copies } from './copies.ts'
import type { EventStore } from './event-log.ts'

type KnownDatabase = DatabaseConfig & { readonly created?: boolean }

/** The mailbox databases of the cluster, as its database tells them, and those that this node has to make. */
export class Databases {
  private readonly copies: Copies
  private readonly keyed: KeyedStore & EventStore
  private readonly log: Logger
  private readonly known = new Map<string, KnownDatabase>()
  private readonly creating = new Set<string>()

  constructor(options: { readonly copies: Copies; readonly keyed: KeyedStore & EventStore; readonly log: Logger }) {
    this.copies = options.copies
    this.keyed = options.keyed
    this.log = options.log
  }

  clear(): void {
    this.known.clear()
  }

  set(name: string, database: KnownDatabase): void {
    this.known.set(name, database)
  }

  created(name: string): boolean {
    return this.known.get(name)?.created === true
  }

  get allCreated(): readonly DatabaseConfig[] {
    return [...this.known.values()].filter((database) => database.created === true)
  }

  /** The owner of a storage group makes the databases that are wanted in it. */
  createIn(group: GroupId): void {
    for (const database of this.known.values()) {
      if (database.storageGroup !== group || database.created === true || this.creating.has(database.name)) continue
      this.creating.add(database.name)
      const work = async (): Promise<void> => {
        await this.copies.instance(group)?.createDatabase(database.name)
        await this.keyed.put(`databases/${database.name}`, JSON.stringify({ ...database, created: true }))
      }
      work()
        .catch((failure: Error) => this.log.warn({ database: database.name, failure: failure.message }, 'database not created yet'))
        .finally(() => this.creating.delete(database.name))
    }
  }
}
