import type { Logger } from 'pino'
import type { EventEntry } from '../../admin/schemas.ts'
import type { NodeId } from '../../cluster/node.ts'
import type { ClusterEvent } from '../../supervisor/ports.ts'

/** The least that the log needs of the cluster database, with keys relative to the cluster's prefix. */
export interface EventStore {
  put(key: string, value: string): Promise<void>
  keys(prefix: string): Promise<string[]>
  delete(keys: readonly string[]): Promise<void>
}

const keepEvents = 2000
/** While the cluster database is away, this many wait in memory; older ones are only in the node's own log. */
const waitingMax = 500

/** The event log: every event goes to the node's own log at once, and to the cluster database as soon as that can be reached. Never waited for. */
export class EventLog {
  private readonly store: EventStore
  private readonly log: Logger
  private readonly node: NodeId
  private readonly waiting: { key: string; entry: EventEntry }[] = []
  private readonly listeners = new Set<(entry: EventEntry) => void>()
  private counter = 0
  private writing = false

  constructor(store: EventStore, node: NodeId, log: Logger) {
    this.store = store
    this.node = node
    this.log = log
  }

  tell(event: ClusterEvent): void {
    const entry: EventEntry = { atWallMs: Date.now(), node: this.node, level: event.level, code: event.code, group: event.group, message: event.message }
    this.log[event.level === 'warning' ? 'warn' : event.level]({ code: event.code, group: event.group }, event.message)
    this.counter += 1
    this.waiting.push({ key: `events/${String(entry.atWallMs).padStart(15, '0')}-${this.node}-${this.counter}`, entry })
    if (this.waiting.length > waitingMax) this.waiting.shift()
    void this.write()
  }

  /** Events of any node, as the watch of the cluster database brings them. */
  seen(value: string): void {
    const entry = JSON.parse(value) as EventEntry
    for (const listener of this.listeners) listener(entry)
  }

  onEvent(listener: (entry: EventEntry) => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  private async write(): Promise<void> {
    if (this.writing) return
    this.writing = true
    try {
      for (let next = this.waiting[0]; next !== undefined; next = this.waiting[0]) {
        await this.store.put(next.key, JSON.stringify(next.entry))
        this.waiting.shift()
        if (this.counter % 200 === 0) await this.trim()
      }
    } catch {
      // The cluster database is away: what waits is written with the next event after it has come back.
    } finally {
      this.writing = false
    }
  }

  private async trim(): Promise<void> {
    const keys = await this.store.keys('events/')
    if (keys.length > keepEvents) await this.store.delete(keys.sort().slice(0, keys.length - keepEvents))
  }
}
