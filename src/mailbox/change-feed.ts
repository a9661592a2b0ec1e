import type { MailboxChange } from './store.ts'

/** Who is told what changed. In one process; between processes the daemon carries it. */
export class ChangeFeed {
  readonly #watchers = new Map<string, Set<() => void>>()
  readonly #listeners = new Set<(change: MailboxChange) => void>()

  watch(mailboxId: string, changed: () => void): () => void {
    const watchers = this.#watchers.get(mailboxId) ?? new Set()
    // An object of its own: the same function may watch twice and end once.
    const watcher = () => changed()
    watchers.add(watcher)
    this.#watchers.set(mailboxId, watchers)
    return () => {
      watchers.delete(watcher)
      if (watchers.size === 0 && this.#watchers.get(mailboxId) === watchers) this.#watchers.delete(mailboxId)
    }
  }

  onChange(listener: (change: MailboxChange) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** An own commit. */
  announce(mailboxIds: readonly string[]): void {
    if (mailboxIds.length === 0) return
    const change = { mailboxIds }
    for (const listener of this.#listeners) listener(change)
    this.hear(change)
  }

  hear(change: MailboxChange): void {
    for (const id of change.mailboxIds) for (const watcher of [...(this.#watchers.get(id) ?? [])]) watcher()
  }

  get watched(): readonly string[] {
    return [...this.#watchers.keys()]
  }
}
