import { endFaults, planAmbushes, planFaults } from './faults.ts'
import { canSufferLasting, sufferLasting } from './lasting.ts'
import { Random } from './random.ts'
import { Violation } from './trace.ts'
import { World } from './world.ts'

/** How long the groups may take to be whole again once faults have ended (invariant 4). */
export const convergenceBoundMs = 30_000
const faultsFromMs = 3000
/** Every so manieth seed has a single fault that stays, and demands service while it does. */
const lastingEvery = 5

export interface SeedResult {
  readonly seed: number
  readonly failure: { readonly invariant: number; readonly message: string; readonly stack: string | null } | null
  readonly trace: readonly string[]
  readonly simulatedMs: number
  readonly events: number
  readonly steps: number
  readonly acknowledged: number
  readonly ownerChanges: number
  readonly failovers: number
  readonly convergedMs: number
  readonly faults: ReadonlyMap<string, number>
}

/** One world from its seed to its end: a quiet start, faults, and the wait for all to be well again. */
export function runSeed(seed: number, traceKeep: number): SeedResult {
  const world = new World({ seed, traceKeep })
  const random = new Random(seed ^ 0x5bd1e995)
  const one = seed % lastingEvery === 0 && canSufferLasting(world)
  const faultsUntil = faultsFromMs + random.between(4000, 15_000)
  if (!one) {
    planFaults(world, random, faultsFromMs, faultsUntil)
    planAmbushes(world, random, faultsFromMs, faultsUntil)
  }
  let failure: SeedResult['failure'] = null
  let convergedMs = 0
  try {
    if (one) {
      converge(world, 0)
      sufferLasting(world, random, world.queue.now + random.between(500, 2000))
    } else while (world.queue.step(faultsUntil));
    // What is still on its way when faults end is cut short by them.
    endFaults(world)
    const from = world.queue.now
    convergedMs = converge(world, from) - from
    world.checkers.finish()
  } catch (error) {
    failure =
      error instanceof Violation
        ? { invariant: error.invariant, message: error.message, stack: null }
        : { invariant: 0, message: error instanceof Error ? error.message : String(error), stack: error instanceof Error ? (error.stack ?? null) : null }
    world.note(null, `!! invariant ${failure.invariant}: ${failure.message}`)
  }
  return {
    seed,
    failure,
    trace: world.trace.all(),
    simulatedMs: world.queue.now,
    events: world.queue.processed,
    steps: world.steps,
    acknowledged: world.checkers.acknowledged,
    ownerChanges: world.checkers.ownerChanges,
    failovers: world.checkers.failoverCount,
    convergedMs,
    faults: world.faults,
  }
}

function converge(world: World, from: number): number {
  for (let at = from + 250; ; at += 250) {
    while (world.queue.step(at));
    world.queue.now = at
    const problem = notWhole(world, from)
    if (problem === null) return at
    if (at - from > convergenceBoundMs) throw new Violation(4, `${convergenceBoundMs} ms after the end of all faults: ${problem}`)
  }
}

/** What is missing for every group to be online with all its copies, or null. */
function notWhole(world: World, since: number): string | null {
  for (const node of world.nodes) if (!node.up || world.agent(node) === undefined) return `${node.id} does not run`
  for (const group of world.groups) {
    const record = world.record(group.name)
    if (record.state === 'failed') {
      // Parked by the failover policy: it stays so until an operator acts (invariant 5).
      if (world.checkers.failoversOf(group.name) < group.failover.threshold)
        return `${group.name} is failed after ${world.checkers.failoversOf(group.name)} failovers`
      continue
    }
    const missing = group.nodes.filter((node) => !record.inSync.includes(node))
    if (missing.length > 0) return `${group.name}: in-sync set {${record.inSync.join()}} lacks ${missing.join()} (owner ${record.owner}, epoch ${record.epoch})`
    const owner = world.nodes.find((node) => node.id === record.owner)
    if (owner === undefined) return `${group.name} has no owner`
    if (group.kind === 'server') {
      const service = world.serviceOf(owner, group.name)
      if (service?.kind !== 'serving' || service.epoch !== record.epoch) return `${group.name} is not served by ${owner.id}`
      continue
    }
    const instance = world.instance(owner.id, group.name)
    if (instance === undefined || !instance.serving || instance.epoch !== record.epoch)
      return `${group.name}: the copy of ${owner.id} is ${instance?.running}, gate ${instance?.gate}`
    if ((world.lastAcknowledged.get(group.name) ?? 0) <= since) return `${group.name}: no write has been acknowledged`
    if (world.store.entries.has(`requests/${group.name}`)) return `${group.name}: a request is neither carried out nor refused`
  }
  return null
}
