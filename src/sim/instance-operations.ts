import type { InstanceAction } from '../groups/action.ts'
import type { GroupId } from '../groups/group.ts'
import type { Outcome } from '../supervisor/ports.ts'
import type { SimAgent } from './agent.ts'
import { formatLsn } from '../replication/lsn.ts'
import { lsnOf, type SimInstance } from './instance.ts'
import { replicationNetwork } from './wal-receiver.ts'

type Done = (outcome: Outcome) => void

const failed = (message: string): Outcome => ({ ok: false, code: 'INSTANCE_FAILED', message })

/** Carries out instance actions on the simulated PostgreSQL, each in the steps and with the delays of the real one. */
export class InstanceOperations {
  private readonly agent: SimAgent
  /** The operation in hand, by group: a stop overtakes it. */
  private readonly current = new Map<GroupId, number>()
  private serial = 0

  constructor(agent: SimAgent) {
    this.agent = agent
  }

  perform(action: InstanceAction, done: Done): void {
    const instance = this.agent.world.instance(this.agent.node.id, action.group)
    if (instance === undefined) return done(failed('no such copy'))
    const operation = new Operation(this.agent, instance, this.current, ++this.serial, done)
    switch (action.kind) {
      case 'initialize':
        return initialize(operation, action.epoch)
      case 'startPrimary':
        return startPrimary(operation, action)
      case 'startStandby':
        return start(operation, 'standby', () => {
          instance.startStandby(action.upstream)
          operation.done()
        })
      case 'follow':
        return operation.later(operation.between(2, 20), () => {
          if (instance.running !== 'standby') return operation.fail('is not a standby')
          instance.follow(action.upstream)
          operation.done()
        })
      case 'promote':
        return promote(operation, action.epoch)
      case 'setSynchronous':
        return setSynchronous(operation, action)
      case 'openGate':
        return operation.onPrimary(operation.between(1, 5), () => {
          instance.gate = 'open'
          operation.world.checkers.becameActive(instance)
          operation.done()
        })
      case 'quiesce':
        return quiesce(operation, action.target)
      case 'unquiesce':
        return operation.onPrimary(operation.between(1, 5), () => {
          instance.quiesced = null
          instance.gate = instance.tail === null ? 'open' : 'closed'
          operation.done()
        })
      case 'stop':
        return stop(operation, action.mode)
      case 'seed':
        return seed(operation, action.upstream)
      case 'rejoin':
        return rejoin(operation, action.upstream)
    }
  }
}

class Operation {
  readonly agent: SimAgent
  readonly instance: SimInstance
  readonly world: SimAgent['world']
  private readonly current: Map<GroupId, number>
  private readonly serial: number
  private readonly answer: Done

  constructor(agent: SimAgent, instance: SimInstance, current: Map<GroupId, number>, serial: number, answer: Done) {
    this.agent = agent
    this.instance = instance
    this.world = agent.world
    this.current = current
    this.serial = serial
    this.answer = answer
    current.set(instance.group, serial)
  }

  between(low: number, high: number): number {
    return this.world.random.between(low, high)
  }

  /** The next step, unless a stop has overtaken this operation or the cluster service has ended. */
  later(delay: number, step: () => void): void {
    this.agent.later(delay, () => {
      if (this.current.get(this.instance.group) === this.serial) step()
    })
  }

  onPrimary(delay: number, step: () => void): void {
    this.later(delay, () => (this.instance.running === 'primary' ? step() : this.fail('is not a primary')))
  }

  /** Looks every few ms until `probe` says true (goes on) or a text (fails). */
  until(probe: () => boolean | string, step: () => void, timeoutMs: number, everyMs = 4): void {
    const giveUpAt = this.world.queue.now + timeoutMs
    const look = (): void => {
      const result = probe()
      if (result === true) step()
      else if (typeof result === 'string') this.fail(result)
      else if (this.world.queue.now > giveUpAt) this.fail('timed out')
      else this.later(everyMs, look)
    }
    look()
  }

  done(extra: Partial<Extract<Outcome, { ok: true }>> = {}): void {
    this.answer({ ok: true, state: this.instance.state(), ...extra })
  }

  fail(message: string): void {
    this.answer(failed(message))
  }
}

function initialize(operation: Operation, epoch: number): void {
  const { instance } = operation
  operation.later(operation.between(50, 200), () => {
    if (instance.present) return operation.fail('there is data already')
    instance.initialize(epoch, `sys-${instance.group}`)
    operation.done()
  })
}

/** The start of a process: it is there, but answers nothing yet. */
function start(operation: Operation, what: string, then: () => void): void {
  const { instance } = operation
  if (!instance.present) return operation.fail('there is no data')
  if (instance.running !== 'none') return operation.fail(`runs already: ${instance.running}`)
  instance.running = 'starting'
  instance.incarnation++
  instance.failure = null
  operation.world.note(instance.node, `${instance.group} starts as ${what}`)
  let ready = false
  const { incarnation } = instance
  instance.later(operation.between(30, 250), () => operation.world.diskWrite(instance, () => (ready = true)))
  operation.until(() => (instance.incarnation !== incarnation ? 'ended while it was starting' : ready), then, 60_000)
}

function startPrimary(operation: Operation, action: Extract<InstanceAction, { kind: 'startPrimary' }>): void {
  const { instance } = operation
  start(operation, 'primary', () => {
    instance.startPrimary(action.epoch, action.synchronous)
    operation.done()
  })
}

function promote(operation: Operation, epoch: number): void {
  const { instance, world } = operation
  operation.later(operation.between(0.3, 2), () => {
    if (instance.running !== 'standby') return operation.fail('is not a standby')
    instance.beginPromotion(epoch)
    const slow = world.random.chance(0.05) ? operation.between(100, 1500) : 0
    const { incarnation } = instance
    instance.later(operation.between(10, 60) + slow, () => world.diskWrite(instance, () => instance.finishPromotion(epoch)))
    operation.until(
      () => (instance.running === 'primary' ? true : instance.incarnation !== incarnation ? 'ended during the promotion' : false),
      () => operation.done({ patch: { promotedLsn: formatLsn(lsnOf(instance.flushed)) } }),
      10_000,
      2,
    )
  })
}

function setSynchronous(operation: Operation, action: Extract<InstanceAction, { kind: 'setSynchronous' }>): void {
  const { instance, world } = operation
  operation.onPrimary(operation.between(0.5, 3), () => {
    if (instance.epoch !== action.epoch) return operation.fail(`runs with epoch ${instance.epoch}`)
    const slow = world.random.chance(0.08) ? operation.between(200, 3000) : 0
    const hung = Math.min(5000, Math.max(0, instance.node.disk.hungUntil - world.queue.now))
    instance.changeSynchronous(action.nodes, operation.between(2, 40) + slow + hung)
    const { incarnation } = instance
    operation.until(
      () => (instance.incarnation !== incarnation ? 'ended meanwhile' : instance.proveSynchronous(action.nodes)),
      () => operation.done(),
      5000,
      5,
    )
  })
}

function quiesce(operation: Operation, target: string): void {
  const { instance } = operation
  operation.onPrimary(operation.between(1, 10), () => {
    const { incarnation, gate } = instance
    instance.gate = 'closed'
    const flushed = (): boolean | string => {
      if (instance.incarnation !== incarnation) return 'ended meanwhile'
      const row = instance.standbys.get(target as never)
      return instance.flushed === instance.log.length && row?.streaming === true && row.flush >= instance.log.length
    }
    const giveUpAt = operation.world.queue.now + 1500
    operation.until(
      () => (flushed() === false && operation.world.queue.now > giveUpAt ? `${target} did not flush the last position in time` : flushed()),
      () => {
        instance.quiesced = { target: target as never, position: instance.log.length }
        operation.done()
      },
      5000,
    )
    // What fails must leave the gate as it was.
    operation.later(1600, () => {
      if (instance.incarnation === incarnation && instance.quiesced === null && instance.running === 'primary') instance.gate = gate
    })
  })
}

function stop(operation: Operation, mode: 'immediate' | 'fast'): void {
  const { instance } = operation
  instance.gate = 'closed'
  operation.later(mode === 'immediate' ? operation.between(1, 10) : operation.between(20, 400), () => {
    instance.crash('process', `stop ${mode}`)
    operation.done()
  })
}

/** Is the upstream a running primary that this node reaches? */
function source(operation: Operation, upstream: string): SimInstance | null {
  const { world, instance } = operation
  const found = world.instance(upstream as never, instance.group)
  const here = instance.node.index
  if (found === undefined || found.running !== 'primary' || !found.node.runs('postgres')) return null
  return world.network.up(replicationNetwork, here, found.node.index) && world.network.up(replicationNetwork, found.node.index, here) ? found : null
}

function seed(operation: Operation, upstream: string): void {
  const { instance } = operation
  const from = source(operation, upstream)
  if (from === null || instance.running !== 'none') return operation.fail('the active copy cannot be reached')
  const { incarnation } = from
  operation.later(operation.between(200, 1200), () => {
    const now = source(operation, upstream)
    if (now === null || now.incarnation !== incarnation) return operation.fail('the base backup broke off')
    copyLog(instance, now)
    Object.assign(instance, { present: true, systemId: now.systemId, failure: null })
    start(operation, 'standby (seeded)', () => {
      instance.startStandby(upstream as never)
      operation.done()
    })
  })
}

function rejoin(operation: Operation, upstream: string): void {
  const { instance, world } = operation
  const from = source(operation, upstream)
  if (from === null) return operation.fail('the active copy cannot be reached')
  const { incarnation } = from
  if (instance.running !== 'none') instance.crash('process', 'stopped to be rejoined')
  operation.later(operation.between(100, 900), () => {
    const now = source(operation, upstream)
    if (now === null || now.incarnation !== incarnation) return operation.fail('pg_rewind broke off')
    if (instance.running !== 'none') return operation.fail(`runs: ${instance.running}`)
    const fork = instance.forkWith(now)
    const divergent = instance.log.length - fork
    const logEnd = instance.log.length
    if (divergent > 0) copyLog(instance, now)
    start(operation, 'standby (rejoined)', () => {
      instance.startStandby(upstream as never)
      const way = divergent > 0 ? 'rewound' : 'started'
      const outcome = {
        node: instance.node.id,
        way,
        logEndLsn: formatLsn(lsnOf(logEnd)),
        forkLsn: formatLsn(lsnOf(fork)),
        divergentBytes: divergent * 8192,
        savedTo: null,
        atWallMs: instance.node.wall(),
      } as const
      world.note(instance.node, `${instance.group} ${way}: fork at ${fork}, ${divergent} divergent entries`)
      operation.done({ patch: { rejoin: outcome } })
    })
  })
}

function copyLog(instance: SimInstance, from: SimInstance): void {
  instance.log = from.log.slice(0, from.flushed)
  instance.flushed = instance.log.length
  instance.timeline = from.timeline
}
