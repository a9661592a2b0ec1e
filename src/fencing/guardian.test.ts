import { createSocket } from 'node:dgram'
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import type { PeerReport } from '../cluster/liveness.ts'
import { nodeId } from '../cluster/node.ts'
import { datagramKey, encodeHeartbeat } from '../heartbeat/datagram.ts'
import { monotonicMs } from '../host/clock.ts'
import { compileProgram } from '../host/fixture.ts'
import { identify, isRunning, type ProcessId, startTicksOf } from '../host/processes.ts'
import { Agent, Workshop } from './fixture.ts'
import { type GuardianClient, startOrAdoptGuardian } from './guardian-client.ts'
import type { Enforcement, GuardedGroup, GuardedPeer } from './protocol.ts'

const compiled = mkdtempSync(join(tmpdir(), 'handoff-guardian-program-'))
let program = ''
let workshop: Workshop
let port = 0

beforeAll(() => {
  program = compileProgram(compiled, 'daemons/guardian.ts')
}, 60_000)
afterAll(() => rmSync(compiled, { recursive: true, force: true }))
beforeEach(async () => {
  workshop = new Workshop()
  port = await freePort()
})
afterEach(() => workshop.end())

const quietLog = { info: () => {}, warn: () => {} }
const socketOf = (at: number): string => join(workshop.directory, `g${at}.sock`)
const peer = (at: number): GuardedPeer => ({ node: nodeId(`n${at}`), role: 'data', addresses: { private: `127.0.73.${at}` }, port })
const group = (more: Partial<GuardedGroup>): GuardedGroup => ({
  group: 'sg1',
  epoch: 4,
  deadlineMs: null,
  processes: [],
  directories: [],
  addresses: [],
  ...more,
})
const soon = { timeout: 8000, interval: 5 }

/** The child of the victim's shell: it would outlive a kill of the shell alone. */
async function childOf(victim: ProcessId): Promise<ProcessId> {
  return vi.waitFor(() => {
    const pid = Number(readFileSync(`/proc/${victim.pid}/task/${victim.pid}/children`, 'utf8').trim().split(' ')[0])
    const id = identify(pid)
    expect(id).not.toBeNull()
    return id as ProcessId
  }, soon)
}

async function startPair(): Promise<[Agent, Agent]> {
  const agents: Agent[] = []
  for (const at of [1, 2]) {
    workshop.guardian(program, workshop.config(at, port), socketOf(at))
    const agent = await Agent.hello(socketOf(at))
    agent.say({ type: 'peers', peers: [peer(3 - at)] })
    await vi.waitFor(() => expect(agent.last('welcome')).toBeDefined(), soon)
    agents.push(agent)
  }
  return agents as [Agent, Agent]
}

/** Never 0, which would mean the test's own process group. */
function pidOf(agent: Agent): number {
  const pid = agent.last('welcome')?.pid
  if (pid === undefined) throw new Error('the guardian has not said who it is')
  return pid
}

function running(guardian: GuardianClient): number {
  if (guardian.pid === null) throw new Error('no guardian runs')
  return guardian.pid
}

const reportOf = (agent: Agent): PeerReport | undefined => agent.last('report')?.peers[0]

test('two guardians hear each other, and a killed one is silent to the other after the threshold, and before threshold and cap', async () => {
  const [one, two] = await startPair()
  await vi.waitFor(() => {
    expect(reportOf(one)?.lastSeq).toBeGreaterThan(0)
    expect(reportOf(two)?.networks['private']).toMatchObject({ state: 'up', hearsUs: true })
    expect(reportOf(two)?.echoedSeq).not.toBeNull()
  }, soon)
  one.say({ type: 'payload', payload: { copies: [], asks: [{ group: 'sg1', epoch: 1 }], promises: [], serving: [] } })
  await vi.waitFor(() => expect(reportOf(two)?.payload?.asks).toEqual([{ group: 'sg1', epoch: 1 }]), soon)
  const killed = monotonicMs()
  process.kill(pidOf(two), 'SIGKILL')
  await vi.waitFor(() => expect(reportOf(one)?.silent).toBe(true), soon)
  const report = one.heard.findLast((message) => message.type === 'report' && message.peers[0]?.silent !== true)
  const last = report?.type === 'report' ? report : undefined
  // Until the last report that has it heard nothing was late by more than threshold and cap; and it took the threshold at least.
  expect((last?.atMs ?? 0) - killed).toBeLessThan(1700)
  expect(reportOf(one)?.silentForMs).toBeGreaterThanOrEqual(500)
})

test('handoffd is killed: the guardian goes on, and at the deadline the whole process group is dead', async () => {
  const [one, two] = await startPair()
  const victim = workshop.victim()
  const child = await childOf(victim)
  const deadlineMs = monotonicMs() + 700
  one.say({ type: 'deadlines', groups: [group({ deadlineMs, processes: [victim] })] })
  await vi.waitFor(() => expect(reportOf(two)?.silent).toBe(false), soon)
  one.hangUp() // what is left of a handoffd after kill -9
  await vi.waitFor(() => expect(isRunning(victim) || isRunning(child)).toBe(false), soon)
  expect(monotonicMs() - deadlineMs).toBeGreaterThanOrEqual(-1)
  expect(monotonicMs() - deadlineMs).toBeLessThan(300)
  await vi.waitFor(() => expect(reportOf(two)?.released).toEqual([{ group: 'sg1', epoch: 4 }]), soon)
  expect(reportOf(two)?.silent).toBe(false)
  // The next handoffd is accepted, and guarding the group anew takes the release back.
  const next = await Agent.hello(socketOf(1))
  next.say({ type: 'deadlines', groups: [group({ deadlineMs: monotonicMs() + 60_000, epoch: 5 })] })
  await vi.waitFor(() => expect(reportOf(two)?.released).toEqual([]), soon)
})

test('a deadline that is renewed is not enforced, and a recycled number is never killed', async () => {
  const [one] = await startPair()
  const victim = workshop.victim()
  const bystander = workshop.victim()
  const recycled = { pid: bystander.pid, startTicks: String(Number(bystander.startTicks) - 1) }
  const until = monotonicMs() + 1200
  while (monotonicMs() < until) {
    one.say({
      type: 'deadlines',
      groups: [group({ deadlineMs: monotonicMs() + 400, processes: [victim] }), group({ group: 'sg2', deadlineMs: monotonicMs(), processes: [recycled] })],
    })
    await nextReport(one)
  }
  await vi.waitFor(() => expect(one.heard.some((message) => message.type === 'enforced' && message.group === 'sg2')).toBe(true), soon)
  expect(isRunning(victim)).toBe(true)
  expect(isRunning(bystander)).toBe(true)
  expect(one.heard.some((message) => message.type === 'enforced' && message.group === 'sg1')).toBe(false)
})

test('a guardian that was stopped past the deadline kills before it sends its first heartbeat', async () => {
  const [one, two] = await startPair()
  const victim = workshop.victim()
  const pid = pidOf(one)
  const deadlineMs = monotonicMs() + 300
  one.say({ type: 'deadlines', groups: [group({ deadlineMs, processes: [victim] })] })
  await nextReport(one)
  process.kill(pid, 'SIGSTOP')
  try {
    await vi.waitFor(() => expect(reportOf(two)?.silent).toBe(true), soon)
    await vi.waitFor(() => expect(monotonicMs()).toBeGreaterThan(deadlineMs + 300), soon)
    expect(isRunning(victim)).toBe(true)
  } finally {
    process.kill(pid, 'SIGCONT')
  }
  // At the first heartbeat after the thaw the victim must be gone already: heard means safe.
  await vi.waitFor(() => expect(reportOf(two)?.silent).toBe(false), { timeout: 8000, interval: 1 })
  expect(isDoomed(victim)).toBe(true)
  await vi.waitFor(() => expect(one.last('enforced')?.lateMs).toBeGreaterThan(300), soon)
  // The thawed one calls nobody silent because of its own gap.
  expect(one.heard.some((message) => message.type === 'report' && message.atMs > deadlineMs && message.peers[0]?.silent === true)).toBe(false)
})

/** Gone, or about to be as soon as the kernel gives it the processor: SIGKILL is pending (proc(5), status), and no more of it will run. */
function isDoomed(target: ProcessId): boolean {
  if (!isRunning(target)) return true
  const pending = /^(?:SigPnd|ShdPnd):\s*([0-9a-f]+)$/gm
  return [...readFileSync(`/proc/${target.pid}/status`, 'latin1').matchAll(pending)].some(([, mask]) => (BigInt(`0x${mask}`) & 0x100n) !== 0n)
}

test('processes of the program that stay in a guarded directory are killed too, in whatever session, and others there are not', async () => {
  const [one] = await startPair()
  const data = join(workshop.directory, 'data')
  mkdirSync(data)
  const postmaster = workshop.victim()
  const backend = workshop.run(process.execPath, ['-e', 'setInterval(() => {}, 1e6)'], data)
  const shell = workshop.run('/bin/sh', ['-c', 'read line'], data)
  one.say({
    type: 'deadlines',
    groups: [
      group({ deadlineMs: monotonicMs() + 50, processes: [postmaster], directories: [{ path: data, program: basename(realpathSync(process.execPath)) }] }),
    ],
  })
  await vi.waitFor(() => expect(isRunning(postmaster) || isRunning(backend)).toBe(false), soon)
  expect(isRunning(shell)).toBe(true)
})

test('only one guardian runs for a socket', async () => {
  const first = workshop.guardian(program, workshop.config(1, port), socketOf(1))
  const agent = await Agent.hello(socketOf(1))
  const second = workshop.guardian(program, workshop.config(1, port), socketOf(1))
  expect(await new Promise((resolve) => second.once('exit', resolve))).toBe(3)
  await nextReport(agent)
  expect(startTicksOf(first.pid ?? 0)).not.toBeNull()
})

test('forged and played-back datagrams change nothing, are not answered, and are counted', async () => {
  const [one, two] = await startPair()
  await vi.waitFor(() => expect(reportOf(one)?.lastSeq).toBeGreaterThan(0), soon)
  const fake = {
    from: nodeId('n2'),
    boot: 'evil',
    seq: 999_999,
    sentWallMs: 0,
    echo: {},
    silent: [],
    heardMs: {},
    agentAgeMs: null,
    payload: null,
    released: [{ group: 'sg1', epoch: 1 }],
  }
  const socket = createSocket('udp4')
  let answers = 0
  socket.on('message', () => (answers += 1))
  socket.send(encodeHeartbeat(fake, datagramKey(Buffer.alloc(32, 1), 'test')), port, '127.0.73.1')
  socket.send(encodeHeartbeat(fake, datagramKey(Buffer.from('42'.repeat(32), 'hex'), 'other')), port, '127.0.73.1')
  socket.send('garbage', port, '127.0.73.1')
  await vi.waitFor(() => expect(one.last('report')?.traffic.refused).toMatchObject({ forged: 1, 'wrong-cluster': 1, malformed: 1 }), soon)
  expect(reportOf(one)?.released).toEqual([])
  expect(answers).toBe(0)
  socket.close()
  two.hangUp()
})

test('SIGTERM does not end a guardian that guards something', async () => {
  const [one] = await startPair()
  one.say({ type: 'deadlines', groups: [group({ deadlineMs: monotonicMs() + 60_000 })] })
  await nextReport(one)
  const pid = pidOf(one)
  process.kill(pid, 'SIGTERM')
  await nextReport(one)
  await nextReport(one)
  expect(startTicksOf(pid)).not.toBeNull()
  one.say({ type: 'stop' })
  await vi.waitFor(() => expect(startTicksOf(pid)).toBeNull(), soon)
})

test('the client starts a guardian, adopts one that runs, and replaces one that was killed at once', async () => {
  const options = { config: workshop.config(1, port), socketPath: socketOf(1), logFile: join(workshop.directory, 'guardian.log'), program, log: quietLog }
  const first = await startOrAdoptGuardian(options)
  workshop.alsoEnd(identify(running(first.guardian)))
  expect(first.how).toBe('started')
  const pid = running(first.guardian)
  first.guardian.detach()

  const { guardian, how } = await startOrAdoptGuardian(options)
  expect(how).toBe('adopted')
  expect(guardian.pid).toBe(pid)
  const reports: (readonly PeerReport[])[] = []
  const enforced: Enforcement[] = []
  guardian.onReport((peers) => reports.push(peers))
  guardian.onEnforced((enforcement) => enforced.push(enforcement))
  const victim = workshop.victim()
  guardian.setPeers([peer(2)])
  guardian.guard([group({ deadlineMs: monotonicMs() + 1500, processes: [victim] })])
  await vi.waitFor(() => expect(reports.at(-1)?.[0]?.node).toBe('n2'), soon)

  const killed = monotonicMs()
  process.kill(pid, 'SIGKILL')
  await vi.waitFor(() => expect(guardian.pid).not.toBe(pid), soon)
  expect(monotonicMs() - killed).toBeLessThan(1000)
  workshop.alsoEnd(identify(running(guardian)))
  // The new one was told everything again, deadlines included.
  await vi.waitFor(() => expect(enforced.map((one) => one.group)).toEqual(['sg1']), soon)
  expect(isRunning(victim)).toBe(false)
  const last = running(guardian)
  await guardian.stop()
  await vi.waitFor(() => expect(startTicksOf(last)).toBeNull(), soon)
})

test('a guardian with another configuration is replaced, and so is one that hangs', async () => {
  const options = { config: workshop.config(1, port), socketPath: socketOf(1), logFile: join(workshop.directory, 'guardian.log'), program, log: quietLog }
  const first = await startOrAdoptGuardian(options)
  const before = identify(running(first.guardian))
  workshop.alsoEnd(before)
  first.guardian.detach()
  const { guardian } = await startOrAdoptGuardian({ ...options, config: { ...options.config, threshold: 6 } })
  const second = identify(running(guardian))
  workshop.alsoEnd(second)
  expect(second?.pid).not.toBe(before?.pid)
  process.kill(running(guardian), 'SIGSTOP')
  await vi.waitFor(() => expect(guardian.pid).not.toBe(second?.pid), soon)
  workshop.alsoEnd(identify(running(guardian)))
  await guardian.stop()
})

/** Waits for one more report: the guardian has had a turn since. */
async function nextReport(agent: Agent): Promise<void> {
  const before = agent.heard.filter((message) => message.type === 'report').length
  await vi.waitFor(() => expect(agent.heard.filter((message) => message.type === 'report').length).toBeGreaterThan(before), soon)
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4')
    socket.bind(0, '127.0.73.1', () => {
      const { port: free } = socket.address()
      socket.close(() => resolve(free))
    })
  })
}
