import { formatLsn } from '../replication/lsn.ts'
import type { Action } from '../groups/action.ts'
import type { Outcome, Ports } from '../supervisor/ports.ts'
import type { SimAgent } from './agent.ts'

/** The supervisor's ports, onto the simulated world. */
export function simPorts(agent: SimAgent): Ports {
  const { world, node } = agent
  const random = world.random
  const published = new Map<string, string>()
  const perform = (action: Action, done: (outcome: Outcome) => void): void => {
    const answer = (outcome: Outcome): void => {
      if (!agent.alive) return
      done(outcome)
      agent.wake(0.05)
    }
    switch (action.lane) {
      case 'record':
        return agent.session.swap(action, answer)
      case 'instance':
        return agent.operations.perform(action, answer)
      case 'address': {
        const held = action.kind === 'claim'
        return agent.later(held ? random.between(3, 30) : random.between(1, 5), () => {
          world.setAddress(node, action.group, held)
          answer({ ok: true, addressesHeld: held })
        })
      }
      case 'service': {
        const delay = action.kind === 'serve' ? random.between(2, 50) : action.manner === 'politely' ? random.between(20, 200) : random.between(1, 5)
        return agent.later(delay, () => {
          const state = world.serviceOf(node, action.group)
          if (state === undefined || state.kind === 'absent') return answer({ ok: false, code: 'SERVICE_ABSENT', message: 'the mailbox service does not run' })
          const next = action.kind === 'serve' ? ({ kind: 'serving', epoch: action.epoch } as const) : ({ kind: 'warm' } as const)
          world.setService(node, action.group, next)
          answer({ ok: true, service: next })
        })
      }
      case 'promise':
        return
    }
  }
  return {
    // An agent that was killed in the middle of a step does nothing more.
    perform: (action, done) => {
      if (!agent.alive) return
      perform(action, done)
      world.maybeKillMidStep(agent)
    },
    renewSession: (done) => agent.session.renew(done),
    readRecord: (group, done) => agent.session.readRecord(group, done),
    observe: (group) => {
      const asOf = node.monotonic()
      const slow = node.disk.hungUntil > world.queue.now ? 200 : node.disk.latency
      agent.later(random.between(0.5, 3) + slow, () => {
        const instance = world.instance(node.id, group)
        if (instance === undefined) return
        // A process that is there but does not run does not answer.
        const tell = (): void => {
          const state = instance.state()
          // The answer of a busy server may lie about for long after it was true.
          agent.later(random.chance(0.03) ? 20 + 2500 * random.next() ** 3 : 0, () => agent.input({ kind: 'instance', group, state, asOf }))
        }
        if (instance.running === 'none') tell()
        else node.when('postgres', () => agent.alive && tell())
      })
    },
    publish: (payload) => {
      if (!agent.alive) return
      for (const promise of payload.promises) {
        const mark = `${promise.epoch} ${promise.seq}`
        if (published.get(promise.group) === mark) continue
        published.set(promise.group, mark)
        const asker = world.nodes.find((other) => other.id === promise.to)
        world.onMoment('promise', random.chance(0.5) ? node : (asker ?? node))
        world.checkers.promiseGiven(node, promise.group as never, promise.epoch, world.queue.now + promise.ms / node.clockRate)
      }
      world.guardian(node)?.publish(payload)
    },
    guard: (deadlines) => {
      if (agent.alive) world.guardian(node)?.guard(deadlines)
    },
    tell: (event) => {
      if (agent.alive) world.note(node, `${event.level === 'info' ? '' : `${event.level} `}${event.message}`)
    },
    amendDecision: (group, epoch, patch) => {
      const steps = patch.rejoin === undefined ? '' : ` rejoin ${patch.rejoin.way} from ${patch.rejoin.forkLsn ?? formatLsn(0n as never)}`
      world.note(node, `${group} decision ${epoch} amended${steps}`)
    },
  }
}
