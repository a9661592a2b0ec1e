import type { DatabaseConfig } from '../../admin/cluster-admin.ts'
import { monotonicMs } from '../../host/clock.ts'
import type { WatchEvent } from '../../store/store.ts'
import type { Input } from '../../supervisor/ports.ts'
import type { Databases } from './databases.ts'

/** Without a word from the cluster database for so long, the view does not follow it any more. */
const quietMs = 1500
/** Kinds of keys that the supervisor follows. */
const followed = /^(nodes|sessions|groups|owners|requests)\//

export interface StoreFollowerOptions {
  /** What the cluster's keys begin with. */
  readonly prefix: string
  readonly input: (input: Input) => void
  readonly databases: Databases
  /** An event of any node. */
  readonly event: (value: string) => void
  /** There is a cluster: said once. */
  readonly found: () => void
}

/** Takes what the watch of the cluster database brings to whoever follows it. */
export class StoreFollower {
  private readonly options: StoreFollowerOptions
  private readonly refusals = new Map<string, string>()
  private seenAt = Number.NEGATIVE_INFINITY
  private foundCluster: { readonly id: string; readonly name: string } | null = null

  constructor(options: StoreFollowerOptions) {
    this.options = options
  }

  get cluster(): { readonly id: string; readonly name: string } | null {
    return this.foundCluster
  }

  get reachable(): boolean {
    return monotonicMs() - this.seenAt < quietMs
  }

  /** Why a request was refused; null when it was not. */
  refusal(request: string): string | null {
    return this.refusals.get(request) ?? null
  }

  /** This node refused it. */
  refused(request: string, why: string): void {
    this.refusals.set(request, why)
  }

  follow(event: WatchEvent): void {
    this.seenAt = monotonicMs()
    if (event.kind === 'contact') return
    const relative = (key: string): string => key.slice(this.options.prefix.length)
    const entries = event.kind === 'reset' ? event.entries : event.puts
    if (event.kind === 'reset') this.options.databases.clear()
    for (const entry of entries) this.take(relative(entry.key), entry.value, event.kind)
    const puts = entries.flatMap((entry) =>
      followed.test(relative(entry.key)) ? [{ key: relative(entry.key), value: entry.value, modRevision: entry.modRevision }] : [],
    )
    const deletes =
      event.kind === 'reset'
        ? []
        : event.deletes.map((gone) => ({ key: relative(gone.key), modRevision: gone.modRevision })).filter((gone) => followed.test(gone.key))
    if (event.kind === 'reset' || puts.length > 0 || deletes.length > 0) this.options.input({ kind: 'store', reset: event.kind === 'reset', puts, deletes })
    this.options.input({ kind: 'storeFollowed', followed: true })
  }

  /** Called now and then: a database that has fallen silent is followed no more. */
  look(): void {
    if (!this.reachable) this.options.input({ kind: 'storeFollowed', followed: false })
  }

  /** Keys that the supervisor does not follow. */
  private take(key: string, value: string, kind: 'reset' | 'change'): void {
    if (key === 'cluster') {
      const first = this.foundCluster === null
      this.foundCluster = JSON.parse(value) as { id: string; name: string }
      if (first) this.options.found()
    } else if (key.startsWith('databases/')) this.options.databases.set(key.slice('databases/'.length), JSON.parse(value) as DatabaseConfig)
    else if (key.startsWith('refusals/')) this.refused(key.slice('refusals/'.length), (JSON.parse(value) as { why: string }).why)
    else if (key.startsWith('events/') && kind === 'change') this.options.event(value)
  }
}
