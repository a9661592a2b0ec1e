import type { GroupId } from '../groups/group.ts'
import type { Action } from '../groups/action.ts'
import type { Outcome } from '../supervisor/ports.ts'
import type { SimAgent } from './agent.ts'
import type { StoreEvent } from './store.ts'

const callTimeoutMs = 1000
const renewTimeoutMs = 500
/** A watch that hears nothing for so long is given up. */
const watchLostMs = 1200

/**
 * An agent's relation to the cluster database: its lease, its watch, its transactions.
 * The session key is created before anything is read, and every swap compares it: a transaction of an earlier life of this
 * cluster service that is carried out late fails, because the session has been created anew since.
 */
export class StoreSession {
  private readonly agent: SimAgent
  private lease = 0
  private sessionRevision = 0
  private watching: ((event: StoreEvent) => void) | null = null
  private connecting = false
  private connection = 0
  private backlog: StoreEvent[] = []
  private pumping = false
  private heardAt = 0
  private lastArrival = 0

  constructor(agent: SimAgent) {
    this.agent = agent
  }

  end(): void {
    if (this.watching !== null) this.agent.world.store.watchers.delete(this.watching)
    this.watching = null
  }

  /** `unsent`: surely never carried out. */
  private call<T>(
    options: { readonly timeoutMs: number; readonly delayedOften?: boolean },
    apply: () => T,
    done: (value: T | 'unknown' | 'unsent') => void,
  ): void {
    const { agent } = this
    agent.world.store.call(agent.node.index, options, apply, (answer) => {
      agent.later(0, () => done(answer.kind === 'answer' ? answer.value : answer.kind))
    })
  }

  renew(done: (result: { readonly ok: true; readonly ttlMs: number } | { readonly ok: false; readonly why: string }) => void): void {
    const { agent } = this
    const { store, timing } = agent.world
    const sentAt = agent.node.monotonic()
    const key = `sessions/${agent.node.id}`
    const failed = (why: string): void => done({ ok: false, why })
    const renewed = (): void => {
      agent.node.sessionDeadline = Math.max(agent.node.sessionDeadline, sentAt + timing.sessionTtlMs)
      done({ ok: true, ttlMs: timing.sessionTtlMs })
      agent.wake(0.05)
      this.follow()
    }
    // A new session replaces exactly what was read: a late second copy of this request must not replace it again.
    const create = (found: number): void =>
      this.call(
        { timeoutMs: renewTimeoutMs },
        () => {
          const lease = store.grantLease(timing.sessionTtlMs)
          return {
            lease,
            revision: store.apply({ by: agent.node.id, compares: [{ key, modRevision: found }], puts: [{ key, value: '{}', lease }], deletes: [] }),
          }
        },
        (result) => {
          if (result === 'unknown' || result === 'unsent') return failed('the cluster database did not answer')
          if (result.revision === null) return failed('the session has changed meanwhile')
          this.lease = result.lease
          this.sessionRevision = result.revision
          renewed()
        },
      )
    if (this.lease === 0)
      return this.call(
        { timeoutMs: renewTimeoutMs },
        () => store.entries.get(key)?.modRevision ?? 0,
        (found) => (found === 'unknown' || found === 'unsent' ? failed('the cluster database did not answer') : create(found)),
      )
    this.call(
      { timeoutMs: renewTimeoutMs },
      () => store.keepAlive(this.lease),
      (alive) => {
        if (alive === 'unknown' || alive === 'unsent') return failed('the cluster database did not answer')
        if (alive) return renewed()
        this.lease = 0
        failed('the session had run out')
      },
    )
  }

  /** Reads everything and watches from there. */
  private follow(): void {
    if (this.watching !== null || this.connecting) return
    this.connecting = true
    const connection = ++this.connection
    const { agent } = this
    const { store, queue } = agent.world
    const apply = (): { key: string; value: string; modRevision: bigint }[] => {
      // A watch that was asked for in vain and comes about late is nobody's.
      if (connection !== this.connection || !agent.alive) return []
      this.end()
      this.backlog = []
      const watch = (event: StoreEvent): void => {
        this.backlog.push(event)
        this.pump()
      }
      this.watching = watch
      store.watchers.add(watch)
      return [...store.entries]
        .filter(([key]) => !key.startsWith('decisions/'))
        .map(([key, entry]) => ({ key, value: entry.value, modRevision: BigInt(entry.modRevision) }))
    }
    this.call({ timeoutMs: callTimeoutMs }, apply, (puts) => {
      this.connecting = false
      if (puts === 'unknown' || puts === 'unsent' || !agent.alive) {
        this.end()
        this.connection++
        return agent.later(200, () => this.follow())
      }
      this.heardAt = queue.now
      agent.input({ kind: 'store', reset: true, puts, deletes: [] })
      agent.input({ kind: 'storeFollowed', followed: true })
      this.keepHearing()
    })
  }

  private keepHearing(): void {
    const { agent } = this
    const { store, queue } = agent.world
    if (this.watching === null) return
    if (store.available(agent.node.index)) this.heardAt = queue.now
    if (queue.now - this.heardAt > watchLostMs) {
      this.end()
      agent.input({ kind: 'storeFollowed', followed: false })
      return agent.later(200, () => this.follow())
    }
    agent.later(200, () => this.keepHearing())
  }

  /** Events arrive in order, late or very late, as long as the watch lives. */
  private pump(): void {
    if (this.pumping || this.backlog.length === 0) return
    this.pumping = true
    const { agent } = this
    const { store, queue } = agent.world
    this.lastArrival = Math.max(this.lastArrival, queue.now + store.latency())
    agent.later(this.lastArrival - queue.now, () => {
      this.pumping = false
      if (this.watching === null || this.connecting) {
        if (this.watching !== null) agent.later(20, () => this.pump())
        return
      }
      if (!store.available(agent.node.index)) return agent.later(50, () => this.pump())
      const events = this.backlog
      this.backlog = []
      const puts = events.flatMap((event) => (event.value === null ? [] : [{ key: event.key, value: event.value, modRevision: BigInt(event.modRevision) }]))
      const deletes = events.flatMap((event) => (event.value === null ? [{ key: event.key, modRevision: BigInt(event.modRevision) }] : []))
      agent.input({ kind: 'store', reset: false, puts, deletes })
    })
  }

  swap(action: Extract<Action, { lane: 'record' }>, done: (outcome: Outcome) => void): void {
    const { agent } = this
    const { store } = agent.world
    const compares = [{ key: `sessions/${agent.node.id}`, modRevision: this.sessionRevision }]
    const puts: { key: string; value: string }[] = []
    const deletes: string[] = []
    if (action.kind === 'refuseRequest') {
      compares.push({ key: `requests/${action.group}`, modRevision: Number(action.requestRevision) })
      deletes.push(`requests/${action.group}`)
    } else {
      compares.push({ key: `owners/${action.group}`, modRevision: Number(action.expected.revision) })
      if (action.absentSession !== null) compares.push({ key: `sessions/${action.absentSession}`, modRevision: 0 })
      puts.push({ key: `owners/${action.group}`, value: JSON.stringify(action.next) })
      if (action.decision !== null) puts.push({ key: `decisions/${action.group}/${action.decision.epoch}`, value: JSON.stringify(action.decision) })
      if (action.clearRequest) deletes.push(`requests/${action.group}`)
    }
    this.call(
      { timeoutMs: callTimeoutMs, delayedOften: true },
      () => store.apply({ by: agent.node.id, compares, puts, deletes }),
      (result) => {
        agent.wake(0.05)
        if (result === 'unsent') done({ ok: false, code: 'STORE_UNREACHABLE', message: 'no endpoint could be reached' })
        else if (result === 'unknown') done({ ok: false, code: 'STORE_UNKNOWN', message: 'the cluster database did not answer', unknown: true })
        else if (result === null) done({ ok: false, code: 'STORE_COMPARE', message: 'the record has changed', compared: true })
        else done({ ok: true, revision: BigInt(result) })
      },
    )
  }

  readRecord(group: GroupId, done: (ok: boolean) => void): void {
    const { agent } = this
    const key = `owners/${group}`
    this.call(
      { timeoutMs: callTimeoutMs },
      () => agent.world.store.entries.get(key),
      (entry) => {
        agent.wake(0.05)
        if (entry === 'unknown' || entry === 'unsent' || entry === undefined) return done(false)
        agent.input({ kind: 'store', reset: false, puts: [{ key, value: entry.value, modRevision: BigInt(entry.modRevision) }], deletes: [] })
        done(true)
      },
    )
  }
}
