import { execFileSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { runSeed, type SeedResult } from './run.ts'

/** Command line of the simulator: `--seed N [--trace]` replays one, `--seeds COUNT --from N [--jobs J] [--stop]` runs a range. */

const traceLines = 60

interface Range {
  readonly from: number
  readonly to: number
  readonly stride: number
  readonly stop: boolean
}

interface Totals {
  seeds: number
  simulatedMs: number
  acknowledged: number
  ownerChanges: number
  failovers: number
  events: number
  steps: number
  slowestMs: number
  faults: Record<string, number>
  failed: { seed: number; invariant: number; message: string }[]
}

const emptyTotals = (): Totals => ({
  seeds: 0,
  simulatedMs: 0,
  acknowledged: 0,
  ownerChanges: 0,
  failovers: 0,
  events: 0,
  steps: 0,
  slowestMs: 0,
  faults: {},
  failed: [],
})

function add(totals: Totals, result: SeedResult): void {
  totals.seeds++
  totals.simulatedMs += result.simulatedMs
  totals.acknowledged += result.acknowledged
  totals.ownerChanges += result.ownerChanges
  totals.failovers += result.failovers
  totals.events += result.events
  totals.steps += result.steps
  totals.slowestMs = Math.max(totals.slowestMs, result.convergedMs)
  for (const [kind, count] of result.faults) totals.faults[kind] = (totals.faults[kind] ?? 0) + count
  if (result.failure !== null) totals.failed.push({ seed: result.seed, invariant: result.failure.invariant, message: result.failure.message })
}

function merge(into: Totals, part: Totals): void {
  for (const key of ['seeds', 'simulatedMs', 'acknowledged', 'ownerChanges', 'failovers', 'events', 'steps'] as const) into[key] += part[key]
  into.slowestMs = Math.max(into.slowestMs, part.slowestMs)
  for (const [kind, count] of Object.entries(part.faults)) into.faults[kind] = (into.faults[kind] ?? 0) + count
  into.failed.push(...part.failed)
}

function runRange(range: Range): Totals {
  const totals = emptyTotals()
  for (let seed = range.from; seed < range.to; seed += range.stride) {
    add(totals, runSeed(seed, 0))
    if (range.stop && totals.failed.length > 0) break
  }
  return totals
}

function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  } catch {
    return 'unknown'
  }
}

function showFailure(seed: number): void {
  const result = runSeed(seed, traceLines)
  if (result.failure === null) return
  console.log(`\nseed ${seed}, commit ${commit()}: invariant ${result.failure.invariant} does not hold: ${result.failure.message}`)
  for (const line of result.trace) console.log(line)
  if (result.failure.stack !== null) console.log(result.failure.stack)
}

function showTotals(totals: Totals, seconds: number): void {
  const faults = Object.entries(totals.faults).sort(([left], [right]) => (left < right ? -1 : 1))
  console.log(
    `${totals.seeds} seeds in ${seconds.toFixed(1)} s (${(totals.seeds / seconds).toFixed(1)}/s), ${(totals.simulatedMs / 3_600_000).toFixed(2)} simulated hours, ${totals.events} events, ${totals.steps} supervisor steps`,
  )
  console.log(
    `${totals.acknowledged} writes acknowledged, ${totals.ownerChanges} changes of owner, ${totals.failovers} of them failovers; slowest convergence ${totals.slowestMs} ms`,
  )
  console.log(`faults: ${faults.map(([kind, count]) => `${kind} ${count}`).join(', ')}`)
  const byInvariant = new Map<number, number>()
  for (const failure of totals.failed) byInvariant.set(failure.invariant, (byInvariant.get(failure.invariant) ?? 0) + 1)
  for (const failure of totals.failed.sort((left, right) => left.seed - right.seed).slice(0, 20))
    console.log(`FAILED seed ${failure.seed}: invariant ${failure.invariant}: ${failure.message}`)
  console.log(
    totals.failed.length === 0
      ? 'all invariants held'
      : `${totals.failed.length} seeds failed (${[...byInvariant].map(([invariant, count]) => `invariant ${invariant}: ${count}`).join(', ')})`,
  )
}

function parallel(range: Omit<Range, 'stride'>, jobs: number): Promise<Totals> {
  const parts = Array.from({ length: jobs }, (_, index) => {
    const part: Range = { ...range, from: range.from + index, stride: jobs }
    return new Promise<Totals>((resolve, reject) => {
      const worker = new Worker(fileURLToPath(import.meta.url), { workerData: part })
      worker.once('message', resolve)
      worker.once('error', reject)
    })
  })
  return Promise.all(parts).then((results) => {
    const totals = emptyTotals()
    for (const part of results) merge(totals, part)
    return totals
  })
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string' },
      trace: { type: 'boolean', default: false },
      seeds: { type: 'string', default: '200' },
      from: { type: 'string', default: '1' },
      jobs: { type: 'string', default: String(Math.min(2, availableParallelism())) },
      stop: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  })
  if (values.seed !== undefined) {
    const seed = Number(values.seed)
    const result = runSeed(seed, values.trace ? 1e7 : traceLines)
    if (values.trace) for (const line of result.trace) console.log(line)
    else if (result.failure !== null) showFailure(seed)
    const verdict = result.failure === null ? 'all invariants held' : `invariant ${result.failure.invariant} does not hold: ${result.failure.message}`
    console.log(
      `seed ${seed}, commit ${commit()}: ${verdict}; ${(result.simulatedMs / 1000).toFixed(1)} simulated s, ${result.acknowledged} writes acknowledged, ${result.ownerChanges} changes of owner`,
    )
    if (values.trace && result.failure?.stack != null) console.log(result.failure.stack)
    return result.failure === null ? 0 : 1
  }
  const from = Number(values.from)
  const jobs = Math.max(1, Number(values.jobs))
  const begun = performance.now()
  const range = { from, to: from + Number(values.seeds), stop: values.stop }
  const totals = jobs === 1 ? runRange({ ...range, stride: 1 }) : await parallel(range, jobs)
  totals.failed.sort((left, right) => left.seed - right.seed)
  if (values.json) console.log(JSON.stringify(totals))
  else {
    const first = totals.failed[0]
    if (first !== undefined) showFailure(first.seed)
    showTotals(totals, (performance.now() - begun) / 1000)
  }
  return totals.failed.length === 0 ? 0 : 1
}

if (isMainThread) process.exitCode = await main()
else parentPort?.postMessage(runRange(workerData as Range))
