import type { GuardedGroup } from './protocol.ts'

export interface Released {
  readonly group: string
  readonly epoch: number
}

/** The deadlines that are held, and the groups that were taken down because one had passed. Pure: time is an argument. */
export class Deadlines {
  private readonly groups = new Map<string, GuardedGroup>()
  private gone: readonly Released[] = []

  /** The whole set. A group that is guarded anew, with time left, is not released any more. */
  set(groups: readonly GuardedGroup[], now: number): void {
    this.groups.clear()
    for (const group of groups) this.groups.set(group.group, group)
    this.gone = this.gone.filter((one) => !groups.some((group) => group.group === one.group && (group.deadlineMs ?? Number.POSITIVE_INFINITY) > now))
  }

  /** Takes out the groups whose deadline has passed. */
  takeExpired(now: number): (GuardedGroup & { readonly deadlineMs: number })[] {
    const expired: (GuardedGroup & { readonly deadlineMs: number })[] = []
    for (const [name, group] of this.groups) {
      if (group.deadlineMs === null || group.deadlineMs > now) continue
      this.groups.delete(name)
      expired.push({ ...group, deadlineMs: group.deadlineMs })
    }
    return expired
  }

  /** Everything of the group has been taken down: the others may be told. Keeps the last hundred. */
  released(group: string, epoch: number): void {
    if (this.groups.has(group)) return // guarded anew in the meantime
    this.gone = [...this.gone.filter((one) => one.group !== group), { group, epoch }].slice(-100)
  }

  isReleased(group: string, epoch: number): boolean {
    return this.gone.some((one) => one.group === group && one.epoch === epoch)
  }

  get releasedGroups(): readonly Released[] {
    return this.gone
  }

  has(group: string): boolean {
    return this.groups.has(group)
  }

  get size(): number {
    return this.groups.size
  }

  /** The next moment at which a deadline passes. */
  next(): number {
    let next = Number.POSITIVE_INFINITY
    for (const { deadlineMs } of this.groups.values()) if (deadlineMs !== null && deadlineMs < next) next = deadlineMs
    return next
  }
}
