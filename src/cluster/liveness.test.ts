import fc from 'fast-check'
import { expect, test } from 'vitest'
import { defaultLiveness, type Heartbeat, type HeartbeatPayload, Liveness, type LivenessPeer } from './liveness.ts'
import { nodeId } from './node.ts'

const self = nodeId('a')
const peer: LivenessPeer = { node: nodeId('b'), role: 'data', addresses: { private: '10.0.1.2', public: '10.0.2.2' } }
const third: LivenessPeer = { node: nodeId('w'), role: 'witness', addresses: { private: '10.0.1.3', public: '10.0.2.3' } }
const start = 5000

function listener(peers: readonly LivenessPeer[] = [peer]): Liveness {
  const liveness = new Liveness({ ...defaultLiveness, self, boot: 'boot-a' }, start)
  liveness.setPeers(peers, start)
  return liveness
}

function heartbeat(seq: number, more: Partial<Heartbeat> = {}): Heartbeat {
  return { from: peer.node, boot: 'boot-b', seq, sentWallMs: 0, echo: {}, silent: [], heardMs: {}, agentAgeMs: null, payload: null, released: [], ...more }
}

/** Runs the node as the guardian does: awake exactly when it asked to be, and at each arrival. */
function run(
  liveness: Liveness,
  from: number,
  until: number,
  arrivals: readonly { readonly at: number; readonly network?: string; readonly beat: Heartbeat }[] = [],
): number | null {
  let silentAt: number | null = null
  const queue = [...arrivals].sort((x, y) => x.at - y.at)
  for (let now = from; now <= until; ) {
    for (; queue[0] !== undefined && queue[0].at <= now; queue.shift())
      liveness.received(now, queue[0].network ?? 'private', queue[0].beat.from, queue[0].beat, 0)
    liveness.due(now, 0)
    if (silentAt === null && liveness.report(now)[0]?.silent === true) silentAt = now
    now = Math.max(now + 0.01, Math.min(liveness.nextWake(), queue[0]?.at ?? Number.POSITIVE_INFINITY))
  }
  return silentAt
}

const regular = (from: number, until: number, everyMs = 100): { at: number; beat: Heartbeat }[] =>
  Array.from({ length: Math.floor((until - from) / everyMs) + 1 }, (_, index) => ({ at: from + index * everyMs, beat: heartbeat(index + 1) }))

test('a peer that was never heard is silent after the threshold, counted from the start', () => {
  expect(run(listener(), start, start + 2000)).toBeCloseTo(start + 500, 1)
})

test('a peer becomes silent exactly at the threshold after its last datagram', () => {
  expect(run(listener(), start, start + 3000, regular(start + 10, start + 1010))).toBeCloseTo(start + 1510, 1)
})

test('heard on either network is heard', () => {
  const arrivals = regular(start + 10, start + 3000).map((one, index) => ({ ...one, network: index % 8 < 4 ? 'private' : 'public' }))
  expect(run(listener(), start, start + 3000, arrivals)).toBeNull()
})

test('fast-check: a peer is never silent while datagrams arrive in time, on whatever network', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ gap: fc.integer({ min: 1, max: 499 }), network: fc.constantFrom('private', 'public') }), { minLength: 1, maxLength: 60 }),
      (gaps) => {
        let at = start
        const arrivals = gaps.map(({ gap, network }, index) => ({ at: (at += gap), network, beat: heartbeat(index + 1) }))
        expect(run(listener(), start, at, arrivals)).toBeNull()
      },
    ),
    { numRuns: 200 },
  )
})

test('fast-check: after its last datagram a peer is silent not before the threshold and not after threshold and cap', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 3000 }), { maxLength: 40 }), fc.integer({ min: 1, max: 3000 }), (gaps, own) => {
      let last = start
      const arrivals = gaps.map((gap, index) => ({ at: (last += gap), beat: heartbeat(index + 1) }))
      const liveness = listener()
      run(liveness, start, last, arrivals)
      const silentBefore = liveness.report(last)[0]?.silent
      const silentAt = run(liveness, last + 0.01, last + 2000 + own)
      expect(silentBefore).toBe(false)
      expect(silentAt).not.toBeNull()
      expect((silentAt as number) - last).toBeGreaterThanOrEqual(500)
      expect((silentAt as number) - last).toBeLessThanOrEqual(500 + defaultLiveness.capMs + 1)
    }),
    { numRuns: 200 },
  )
})

test('lateness seen lately widens the threshold and is forgotten by halves', () => {
  const late = [...regular(start, start + 500), { at: start + 900, beat: heartbeat(7) }] // 300 ms beyond the interval
  expect(run(listener(), start, start + 3000, late)).toBeCloseTo(start + 900 + 500 + 300 * 2 ** (-(500 + 295) / 30_000), -1)
  const after = [...late, ...regular(start + 1000, start + 61_000).map((one) => ({ ...one, beat: { ...one.beat, seq: one.beat.seq + 7 } }))]
  const silentAt = run(listener(), start, start + 65_000, after)
  expect((silentAt as number) - (start + 61_000)).toBeGreaterThan(560)
  expect((silentAt as number) - (start + 61_000)).toBeLessThan(590)
})

test('a silence that was judged does not count as lateness when the peer is back', () => {
  const liveness = listener()
  const arrivals = [...regular(start, start + 500), { at: start + 5000, beat: heartbeat(100) }]
  expect(run(liveness, start, start + 5100, arrivals)).toBeCloseTo(start + 1000, 1)
  expect(liveness.report(start + 5100)[0]?.silent).toBe(false)
  expect(run(liveness, start + 5101, start + 7000)).toBeCloseTo(start + 5500, 1)
})

test('after its own freeze a node judges nobody by the gap, and has not become patient', () => {
  const liveness = listener()
  run(liveness, start, start + 1000, regular(start, start + 1000))
  const thaw = start + 31_000
  liveness.due(thaw, 0)
  expect(liveness.report(thaw)[0]?.silent).toBe(false)
  liveness.received(thaw + 1, 'private', peer.node, heartbeat(400), 0)
  expect(run(liveness, thaw + 2, thaw + 3000)).toBeCloseTo(thaw + 501, 0)
})

test('a thawed node still finds out that a peer died meanwhile', () => {
  const liveness = listener()
  run(liveness, start, start + 1000, regular(start, start + 1000))
  const thaw = start + 31_000
  expect(run(liveness, thaw, thaw + 3000)).toBeCloseTo(thaw + 500, 0)
})

test('repeated, reordered and played-back datagrams are not fresh', () => {
  const liveness = listener()
  expect(liveness.received(start + 1, 'private', peer.node, heartbeat(10), 0)).toBe('fresh')
  expect(liveness.received(start + 2, 'public', peer.node, heartbeat(10), 0)).toBe('repeated')
  expect(liveness.received(start + 3, 'private', peer.node, heartbeat(10), 0)).toBe('stale')
  expect(liveness.received(start + 4, 'private', peer.node, heartbeat(9), 0)).toBe('stale')
  const after = liveness.due(start + 4, 0)?.seq ?? -1
  expect(liveness.received(start + 5, 'private', peer.node, heartbeat(1, { boot: 'boot-b2', echo: { a: { boot: 'boot-a', seq: after } } }), 0)).toBe('fresh')
  expect(liveness.received(start + 6, 'private', peer.node, heartbeat(500), 0)).toBe('stale')
  expect(liveness.received(start + 7, 'private', third.node, heartbeat(1), 0)).toBe('unknown')
  expect(run(liveness, start + 8, start + 2000, [{ at: start + 400, beat: heartbeat(10) }])).toBeCloseTo(start + 505, 0)
})

test('a guardian started anew counts once it echoes what was sent after the former one was heard, or once the former one is silent', () => {
  const liveness = listener()
  const echo = (seq: number, boot = 'boot-a') => ({ boot: 'boot-b2', echo: { a: { boot, seq } } })
  const before = liveness.due(start, 0)?.seq ?? -1
  expect(liveness.received(start + 1, 'private', peer.node, heartbeat(10), 0)).toBe('fresh')
  expect(liveness.received(start + 2, 'private', peer.node, heartbeat(3, { boot: 'boot-b2' }), 0)).toBe('stale')
  expect(liveness.received(start + 3, 'private', peer.node, heartbeat(4, echo(before)), 0)).toBe('stale')
  expect(liveness.received(start + 4, 'private', peer.node, heartbeat(5, echo(before + 50, 'boot-of-another-life')), 0)).toBe('stale')
  run(liveness, start + 5, start + 600)
  expect(liveness.received(start + 601, 'private', peer.node, heartbeat(6, { boot: 'boot-b2' }), 0)).toBe('fresh')
})

test('a late datagram of a former life does not shut the present one out', () => {
  const liveness = listener()
  liveness.received(start + 1, 'private', peer.node, heartbeat(20, { boot: 'boot-b2' }), 0)
  run(liveness, start + 2, start + 700)
  expect(liveness.received(start + 701, 'private', peer.node, heartbeat(900, { boot: 'boot-b1' }), 0)).toBe('fresh')
  const seq = liveness.due(start + 801, 0)?.seq ?? -1
  expect(liveness.received(start + 802, 'private', peer.node, heartbeat(21, { boot: 'boot-b2', echo: { a: { boot: 'boot-a', seq } } }), 0)).toBe('fresh')
  expect(liveness.received(start + 803, 'private', peer.node, heartbeat(901, { boot: 'boot-b1' }), 0)).toBe('stale')
})

test('a judgement that changes is sent at once, and again when it is taken back', () => {
  const liveness = listener()
  const sent: { at: number; silent: readonly string[] }[] = []
  for (let now = start; now <= start + 800; now = Math.max(now + 0.01, liveness.nextWake())) {
    const beat = liveness.due(now, 0)
    if (beat !== null) sent.push({ at: now, silent: beat.silent })
  }
  expect(sent.find((one) => one.silent.includes('b'))?.at).toBeCloseTo(start + 500, 1)
  liveness.received(start + 833, 'private', peer.node, heartbeat(1), 0)
  expect(liveness.nextWake()).toBeLessThanOrEqual(start + 833)
  expect(liveness.due(start + 833, 0)?.silent).toEqual([])
})

test('heartbeats leave every interval, without a burst after a pause', () => {
  const liveness = listener([])
  let sent = 0
  for (let now = start; now < start + 1000; now = Math.max(now + 0.01, liveness.nextWake())) if (liveness.due(now, 0) !== null) sent += 1
  expect(sent).toBe(10)
  const thaw = start + 20_000
  sent = 0
  for (let now = thaw; now < thaw + 1000; now = Math.max(now + 0.01, liveness.nextWake())) if (liveness.due(now, 0) !== null) sent += 1
  expect(sent).toBeLessThanOrEqual(11)
})

test('the report tells judgement, networks, one-way loss and when a promise began to count', () => {
  const liveness = listener([peer, third])
  const mine = liveness.due(start, 0)
  const seq = mine?.seq ?? -1
  const payload: HeartbeatPayload = { copies: [], asks: [], promises: [{ group: 'sg1', epoch: 3, to: self, seq, ms: 1000 }], serving: [] }
  liveness.received(
    start + 20,
    'private',
    peer.node,
    heartbeat(1, {
      echo: { a: { boot: 'boot-a', seq } },
      silent: [third.node],
      heardMs: { a: { public: 15, private: 4000 } },
      agentAgeMs: 7,
      payload,
      sentWallMs: 1_000_250,
      released: [{ group: 'sg2', epoch: 1 }],
    }),
    1_000_000,
  )
  const report = liveness.report(start + 50)[0]
  expect(report).toMatchObject({
    node: 'b',
    boot: 'boot-b',
    silent: false,
    silentForMs: 30,
    itsSilent: ['w'],
    itsJudgementAgeMs: 30,
    agentAgeMs: 37,
    lastSeq: 1,
    echoedSeq: seq,
    clockSkewMs: 250,
  })
  expect(report?.networks).toEqual({
    private: { heardMsAgo: 30, state: 'up', hearsUs: false },
    public: { heardMsAgo: null, state: 'unreachable', hearsUs: true },
  })
  expect(report?.sentAt).toEqual({ [seq]: start })
  expect(report?.released).toEqual([{ group: 'sg2', epoch: 1 }])
})

test('a guardian that is started again on the same machine never uses a number twice', () => {
  const first = listener([])
  let last = 0
  for (let now = start; now < start + 3000; now = Math.max(now + 0.01, first.nextWake())) last = first.due(now, 0)?.seq ?? last
  const second = new Liveness({ ...defaultLiveness, self, boot: 'boot-a2' }, start + 3001)
  expect(second.due(start + 3001, 0)?.seq).toBeGreaterThan(last)
})
