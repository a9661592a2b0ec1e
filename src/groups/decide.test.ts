import { describe, expect, test } from 'vitest'
import type { InstanceState } from '../replication/instance.ts'
import type { Action } from './action.ts'
import { decide } from './decide.ts'
import { copyReport, groupView, lsn, n1, n2, now, peer, record, sg1, view, witness } from './fixture.ts'

/** Examples that can be read; that nothing else is ever done is for the simulator to find out. */
const swaps = (actions: readonly Action[]) => actions.flatMap((action) => (action.kind === 'swapRecord' ? [action] : []))

const silent = { silent: true, silentForMs: 520, agentAgeMs: null, payload: null }
const stopped: InstanceState = { kind: 'stopped', systemId: '7', wasPrimary: true }

describe('a possible owner', () => {
  test('takes over when a majority of voters have not heard the owner, and says why', () => {
    const [swap] = swaps(decide(view('n2', [peer('n1', silent), peer('w', { itsSilent: [n1] })], groupView()), now))
    expect(swap?.next).toMatchObject({ owner: n2, epoch: 4, inSync: [n2], cause: 'majority-silence' })
    expect(swap?.decision).toMatchObject({ from: n1, to: n2, compared: { revision: '9', inSync: [n1, n2] } })
    expect(swap?.decision?.evidence.map((entry) => entry.node)).toEqual([n2, witness])
  })

  test('does not, when the witness hears the owner', () => {
    expect(swaps(decide(view('n2', [peer('n1', silent), peer('w')], groupView()), now))).toEqual([])
  })

  test('does not, when it may lack acknowledged commits', () => {
    const group = groupView({ record: { ...record, inSync: [n1] } })
    expect(swaps(decide(view('n2', [peer('n1', silent), peer('w', { itsSilent: [n1] })], group), now))).toEqual([])
  })

  test('does not, while it has promised the owner not to', () => {
    const group = groupView({ promiseGiven: { epoch: 3, until: now + 1 } })
    expect(swaps(decide(view('n2', [peer('n1', silent), peer('w', { itsSilent: [n1] })], group), now))).toEqual([])
  })

  test('leaves a group failed that has failed over too often', () => {
    const failovers = Array.from({ length: 10 }, () => ({ atWallMs: 999_000, cause: 'majority-silence' as const, from: n1 }))
    const group = groupView({ record: { ...record, failovers } })
    const [swap] = swaps(decide(view('n2', [peer('n1', silent), peer('w', { itsSilent: [n1] })], group), now))
    expect(swap?.next).toMatchObject({ owner: n1, epoch: 3, state: 'failed' })
  })
})

describe('an owner', () => {
  test('whose PostgreSQL has ended hands over to the in-sync copy', () => {
    const [swap] = swaps(decide(view('n1', [peer('n2'), peer('w')], groupView({ instance: stopped, served: true })), now))
    expect(swap?.next).toMatchObject({ owner: n2, cause: 'instance-exited' })
  })

  test('starts it in place when the other copy has no session and could not begin to serve', () => {
    const actions = decide(view('n1', [peer('n2'), peer('w')], groupView({ instance: stopped, served: true }), { sessions: new Set([n1, witness]) }), now)
    expect(swaps(actions)).toEqual([])
    expect(actions).toContainEqual({ lane: 'instance', kind: 'startPrimary', group: sg1, epoch: 3, synchronous: [n2] })
  })

  test('starts a group where it was that an operator has brought online', () => {
    const actions = decide(view('n1', [peer('n2'), peer('w')], groupView({ instance: stopped, served: true, takenOffline: true })), now)
    expect(actions).toContainEqual({ lane: 'instance', kind: 'startPrimary', group: sg1, epoch: 3, synchronous: [n2] })
  })

  test('hands over when it cannot be started there', () => {
    const instanceFailure = { action: 'startPrimary', code: 'INSTANCE_START_FAILED', message: '', at: now, count: 1 }
    const [swap] = swaps(decide(view('n1', [peer('n2'), peer('w')], groupView({ instance: stopped, takenOffline: true, instanceFailure })), now))
    expect(swap?.next.owner).toBe(n2)
  })

  test('goes down before its deadline', () => {
    const actions = decide(view('n1', [peer('n2'), peer('w')], groupView({ instance: primary() }), { sessionDeadline: now + 200 }), now)
    expect(actions).toContainEqual(expect.objectContaining({ kind: 'stop', mode: 'immediate' }))
  })

  test('goes on without the cluster database while the other copy has promised not to take over', () => {
    const group = groupView({ instance: primary(), promisesReceived: new Map([[n2, now + 1000]]), addressesHeld: true })
    expect(decide(view('n1', [peer('n2'), peer('w')], group, { sessionDeadline: now - 5000 }), now)).toEqual([])
  })

  test('drops a silent copy, and before anything is acknowledged without it, from the record', () => {
    const [swap] = swaps(decide(view('n1', [peer('n2', silent), peer('w')], groupView({ instance: primary() })), now))
    expect(swap?.next).toMatchObject({ owner: n1, epoch: 3, inSync: [n1] })
  })

  test('does not drop a copy because its own PostgreSQL has stopped telling how far that is', () => {
    const group = groupView({ instance: primary(), stalledSince: new Map([[n2, now - 5000]]), instanceSeenAt: now - 4900 })
    expect(swaps(decide(view('n1', [peer('n2'), peer('w')], group), now))).toEqual([])
  })

  test('that hears nobody does not: the others may be well and about to take over', () => {
    expect(swaps(decide(view('n1', [peer('n2', silent), peer('w', silent)], groupView({ instance: primary() })), now))).toEqual([])
  })

  test('refuses a move to a copy that is not in sync, and says so', () => {
    const request = { id: 'r', group: sg1, kind: 'move' as const, to: n2, by: 'op', reason: '', epoch: 3, owner: n1, expiresWallMs: 2_000_000 }
    const group = groupView({ instance: primary([]), record: { ...record, inSync: [n1] }, request })
    const actions = decide(
      view('n1', [peer('n2', { payload: { copies: [copyReport({ state: 'seeding' })], asks: [], promises: [], serving: [] } }), peer('w')], group),
      now,
    )
    expect(actions).toContainEqual(expect.objectContaining({ kind: 'refuseRequest', why: expect.stringContaining('may lack acknowledged commits') }))
  })
})

function primary(synchronous = [n2]): InstanceState {
  return {
    kind: 'primary',
    systemId: '7',
    epoch: 3,
    gate: 'open',
    synchronous,
    synchronousSince: lsn,
    tailLsn: null,
    currentLsn: lsn,
    timeline: 1,
    standbys: [{ node: n2, streaming: true, flushLsn: lsn }],
    quiesced: null,
  }
}
