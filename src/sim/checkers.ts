import { type NodeId, votes } from '../cluster/node.ts'
import { type DecisionRecord, describes } from '../groups/decision.ts'
import type { GroupId } from '../groups/group.ts'
import { countsAsFailover, type OwnershipRecord } from '../groups/ownership.ts'
import type { SimInstance, Write } from './instance.ts'
import type { SimNode } from './node.ts'
import type { StoreEvent, Transaction } from './store.ts'
import { Violation } from './trace.ts'
import type { World } from './world.ts'

/** Killing takes a moment, and clocks drift by 200 ppm over a session of 2 s and a promise of 1.5 s. */
const deadlineToleranceMs = 12
/** After a thaw the guardian runs when the scheduler lets it. */
const afterThawMs = 25

/** A swap of unknown outcome is tried again until the store answers: so much later than it was decided. */
const evidenceMs = 20_000

interface Members {
  readonly epoch: number
  readonly inSync: readonly NodeId[]
}

/** Watches from outside, knowing everything. One part per invariant of docs/design/decide.md. */
export class Checkers {
  private readonly world: World
  /** Writes that were acknowledged to a client or shown to a reader, by group. */
  private readonly kept = new Map<GroupId, Set<number>>()
  private readonly promotion = new Map<GroupId, { epoch: number; at: number; instance: SimInstance }>()
  private readonly members = new Map<GroupId, Members[]>()
  private readonly failovers = new Map<GroupId, number>()
  /** True time until which a node has promised the owner of an epoch not to take a group over. */
  private readonly promised = new Map<string, { epoch: number; until: number }>()
  /** When each node last judged each other silent. */
  private readonly judgedSilent = new Map<string, number>()
  acknowledged = 0
  shownOnly = 0
  ownerChanges = 0
  failoverCount = 0
  moves = 0

  constructor(world: World) {
    this.world = world
  }

  // Invariants 1, 5, 6: at the store, at the instant of the change.
  committed(transaction: Transaction | null, events: readonly StoreEvent[], before: (key: string) => string | undefined): void {
    for (const event of events) {
      if (!event.key.startsWith('owners/')) continue
      const text = before(event.key)
      if (event.value === null || transaction === null) throw new Violation(1, `${event.key} was deleted`)
      const next = JSON.parse(event.value) as OwnershipRecord
      const previous = text === undefined ? null : (JSON.parse(text) as OwnershipRecord)
      const decisions = events.filter((other) => other.key.startsWith(`decisions/${next.group}/`) && other.value !== null)
      if (!transaction.compares.some((compare) => compare.key === event.key)) throw new Violation(1, `${event.key} was written without a compare`)
      this.checkChange(previous, next, decisions, before)
      this.members.set(next.group, [
        ...(this.members.get(next.group) ?? []).filter((entry) => entry.epoch !== next.epoch),
        { epoch: next.epoch, inSync: next.inSync },
      ])
    }
  }

  private checkChange(
    previous: OwnershipRecord | null,
    next: OwnershipRecord,
    decisions: readonly StoreEvent[],
    before: (key: string) => string | undefined,
  ): void {
    const changed = previous === null || previous.owner !== next.owner
    const wanted = previous === null ? 1 : previous.epoch + (changed ? 1 : 0)
    if (next.epoch !== wanted) throw new Violation(1, `${next.group}: epoch ${previous?.epoch} -> ${next.epoch}, owner ${previous?.owner} -> ${next.owner}`)
    if (!next.inSync.includes(next.owner)) throw new Violation(1, `${next.group}: the owner ${next.owner} is not in inSync {${next.inSync.join()}}`)
    if (decisions.length !== (changed ? 1 : 0))
      throw new Violation(6, `${next.group} epoch ${next.epoch}: ${decisions.length} decision records with ${changed ? 'a' : 'no'} change of owner`)
    if (!changed) return
    const written = decisions[0] as StoreEvent
    if (written.key !== `decisions/${next.group}/${next.epoch}` || before(written.key) !== undefined)
      throw new Violation(6, `${written.key} does not belong to epoch ${next.epoch}, or was there before`)
    if (!describes(JSON.parse(written.value as string) as DecisionRecord, next)) throw new Violation(6, `${written.key} tells of another change`)
    if (previous === null) return
    if (!previous.inSync.includes(next.owner))
      throw new Violation(3, `${next.group}: ${next.owner} was made owner and was not in inSync {${previous.inSync.join()}}`)
    this.checkRule(previous, next)
    this.checkPromise(previous, next)
    this.ownerChanges++
    if (!countsAsFailover[next.cause]) {
      this.moves++
      return
    }
    this.failoverCount++
    const count = (this.failovers.get(next.group) ?? 0) + 1
    this.failovers.set(next.group, count)
    const { threshold } = this.world.config(next.group).failover
    if (count > threshold) throw new Violation(5, `${next.group}: failover ${count} within the period, the threshold is ${threshold}`)
  }

  /** Is what the decision record claims as its evidence true? */
  private checkRule(previous: OwnershipRecord, next: OwnershipRecord): void {
    const { owner } = previous
    const what = `${next.group} epoch ${next.epoch} by ${next.cause}`
    if (next.cause === 'session-expired' && this.world.store.entries.has(`sessions/${owner}`)) throw new Violation(6, `${what}: ${owner} has a session`)
    if (next.cause !== 'majority-silence') return
    const voters = this.world.nodes.filter((node) => votes(node.config.role))
    const agreed = voters.filter((voter) => this.world.queue.now - (this.judgedSilent.get(`${voter.id} ${owner}`) ?? Number.NEGATIVE_INFINITY) < evidenceMs)
    if (agreed.length * 2 <= voters.length)
      throw new Violation(6, `${what}: only {${agreed.map((voter) => voter.id).join()}} of ${voters.length} voters had judged ${owner} silent`)
  }

  /** Who has promised does not take over, whatever rule fires; the owner may still hand over. */
  private checkPromise(previous: OwnershipRecord, next: OwnershipRecord): void {
    if (next.cause !== 'session-expired' && next.cause !== 'majority-silence' && next.cause !== 'owner-released') return
    const promise = this.promised.get(`${next.owner} ${next.group}`)
    if (promise?.epoch !== previous.epoch || promise.until <= this.world.queue.now + 1) return
    throw new Violation(
      2,
      `${next.group}: ${next.owner} takes over by ${next.cause} and has promised not to for another ${(promise.until - this.world.queue.now).toFixed(1)} ms`,
    )
  }

  judged(node: SimNode, silent: readonly string[]): void {
    for (const peer of silent) this.judgedSilent.set(`${node.id} ${peer}`, this.world.queue.now)
  }

  failoversOf(group: GroupId): number {
    return this.failovers.get(group) ?? 0
  }

  // Invariant 3.
  promotionBegins(instance: SimInstance, epoch: number): void {
    const before = this.promotion.get(instance.group)
    if (before !== undefined && before.epoch >= epoch && before.instance !== instance)
      throw new Violation(2, `${instance.group}: ${instance.node.id} is promoted with epoch ${epoch} after ${before.instance.node.id} with ${before.epoch}`)
    this.promotion.set(instance.group, { epoch, at: this.world.queue.now, instance })
  }

  becameActive(instance: SimInstance): void {
    const log = new Set(instance.log)
    for (const id of this.kept.get(instance.group) ?? [])
      if (!log.has(id))
        throw new Violation(
          3,
          `${instance.group}: write ${id} was acknowledged or shown and is not in the log of ${instance.node.id}, active in epoch ${instance.epoch}`,
        )
  }

  acknowledge(instance: SimInstance, write: Write, position: number): void {
    this.acknowledged++
    this.keep(instance, write.id, write.insertedAt)
    this.everyMemberHas(instance, position)
    this.serves(instance.node, instance.group, instance.epoch, 'acknowledges')
  }

  read(instance: SimInstance, from: number): void {
    for (let position = from; position < instance.visible; position++) {
      const id = instance.log[position] as number
      if (id > 0 && !this.kept.get(instance.group)?.has(id)) {
        this.shownOnly++
        this.keep(instance, id, 0)
      }
    }
    this.everyMemberHas(instance, instance.visible)
    this.serves(instance.node, instance.group, instance.epoch, 'answers reads')
  }

  /** What the owner acknowledges or shows is on the disk of every copy that may take over from it at this instant. */
  private everyMemberHas(instance: SimInstance, upTo: number): void {
    const { group, node } = instance
    const record = this.world.record(group)
    let position = upTo
    // PostgreSQL's own entries are nobody's write.
    while (position > 0 && (instance.log[position - 1] as number) < 0) position--
    if (record.owner !== node.id || record.epoch !== instance.epoch || position === 0) return
    for (const member of record.inSync) {
      const copy = this.world.instance(member, group)
      // A directory that is lost with its disk takes nothing over.
      if (copy?.present !== true || (copy.flushed >= position && copy.log[position - 1] === instance.log[position - 1])) continue
      throw new Violation(
        3,
        `${group}: ${node.id} (epoch ${instance.epoch}) acknowledges or shows write ${instance.log[position - 1]}, which ${member} of inSync {${record.inSync.join()}} lacks`,
      )
    }
  }

  private keep(instance: SimInstance, id: number, insertedAt: number): void {
    const kept = this.kept.get(instance.group) ?? new Set()
    this.kept.set(instance.group, kept.add(id))
    const newer = this.promotion.get(instance.group)
    if (newer === undefined || newer.instance === instance || newer.epoch <= instance.epoch) return
    // What the newer active had received before its promotion may still be answered by the old one: it is not lost.
    if (insertedAt > newer.at)
      throw new Violation(
        2,
        `${instance.group}: ${instance.node.id} (epoch ${instance.epoch}) acknowledges write ${id}, begun after ${newer.instance.node.id} was promoted in epoch ${newer.epoch}`,
      )
    if (!newer.instance.log.includes(id))
      throw new Violation(
        3,
        `${instance.group}: ${instance.node.id} (epoch ${instance.epoch}) acknowledges or shows write ${id}, which ${newer.instance.node.id} (epoch ${newer.epoch}) lacks`,
      )
  }

  // Invariant 2.
  promiseGiven(node: SimNode, group: GroupId, epoch: number, until: number): void {
    const key = `${node.id} ${group}`
    const before = this.promised.get(key)
    if (before === undefined || before.epoch !== epoch || until > before.until) this.promised.set(key, { epoch, until })
  }

  serves(node: SimNode, group: GroupId, epoch: number, what: string): void {
    const { queue } = this.world
    const local = node.monotonic() - deadlineToleranceMs
    if (local <= node.sessionDeadline || queue.now - node.thawedAt < afterThawMs) return
    const others = (this.members.get(group)?.find((entry) => entry.epoch === epoch)?.inSync ?? []).filter((member) => member !== node.id)
    const record = this.world.record(group)
    if (others.length === 0 && record.epoch === epoch) return
    const promised =
      others.length > 0 &&
      others.every((member) => {
        const promise = this.promised.get(`${member} ${group}`)
        return promise !== undefined && promise.epoch === epoch && promise.until >= queue.now - deadlineToleranceMs
      })
    if (!promised)
      throw new Violation(
        2,
        `${group}: ${node.id} ${what} in epoch ${epoch}, ${(node.monotonic() - node.sessionDeadline).toFixed(1)} ms past its deadline, without the promises of {${others.join()}} (record: ${record.owner} epoch ${record.epoch})`,
      )
  }

  /** Everything that runs, at intervals: what nobody happens to read is service, too. */
  sweep(): void {
    for (const node of this.world.nodes) {
      if (!node.runs('postgres')) continue
      for (const instance of this.world.instancesOf(node)) if (instance.serving) this.serves(node, instance.group, instance.epoch, 'has its gate open')
      for (const [group, service] of this.world.servicesOf(node)) if (service.kind === 'serving') this.serves(node, group, service.epoch, 'serves')
    }
  }

  finish(): void {
    for (const group of this.world.groups) {
      const record = this.world.record(group.name)
      const active = this.world.instance(record.owner, group.name)
      if (active !== undefined && active.running === 'primary') this.becameActive(active)
    }
  }
}
