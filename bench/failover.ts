import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { type Fault, type FaultOutcome, faults, suffer } from '../tests/faults/fault.ts'
import { RigCluster } from '../tests/rig/cluster.ts'
import { repository } from '../tests/rig/host.ts'
import { Rig, rigObstacle } from '../tests/rig/rig.ts'
import { machineFacts } from './machine.ts'
import { markdownTable, median, worst } from './statistics.ts'

/**
 * How long writes through the virtual address stand still, for each fault, on hosts in network namespaces.
 * Outage = longest gap between two acknowledged writes of a client that writes every 5 ms.
 */
const help = `npm run bench:failover -- [--runs 10] [--faults ${Object.keys(faults).join(',')}] [--freeze-ms 30000] [--out FILE]`
const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '10' },
    faults: { type: 'string', default: Object.keys(faults).join(',') },
    'freeze-ms': { type: 'string', default: '30000' },
    out: { type: 'string', default: join(repository, 'bench/results/failover.json') },
    'keep-on-failure': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

type Run = Omit<FaultOutcome, 'records'> & { readonly fault: FaultName; readonly run: number; readonly drops: readonly string[] }
type FaultName = keyof typeof faults

/** Goals: median and worst outage in ms. */
const goals: Record<FaultName, { readonly median: number; readonly worst: number }> = {
  move: { median: 150, worst: 300 },
  kill: { median: 120, worst: 300 },
  crash: { median: 600, worst: 1200 },
  crashLeader: { median: 600, worst: 1200 },
  cut: { median: 600, worst: 1200 },
  freeze: { median: 600, worst: 1200 },
}

async function main(): Promise<number> {
  if (values.help) {
    process.stdout.write(`${help}\n`)
    return 0
  }
  const unknown = values.faults.split(',').filter((name) => !isFault(name))
  if (unknown.length > 0 || !(Number(values.runs) > 0)) {
    process.stderr.write(`${unknown.length > 0 ? `unknown fault: ${unknown.join(', ')}` : `not a number of runs: ${values.runs}`}\n${help}\n`)
    return 2
  }
  const obstacle = rigObstacle()
  if (obstacle !== undefined) {
    process.stderr.write(`the hosts cannot be made here: ${obstacle}\n`)
    return 1
  }
  process.env['RIG_FREEZE_MS'] = values['freeze-ms']
  const facts = machineFacts()
  const runs: Run[] = []
  const failures: string[] = []
  const rig = await Rig.create()
  try {
    say('making the cluster')
    const cluster = await RigCluster.create(rig, { mail: false })
    for (const name of values.faults.split(',').filter(isFault)) {
      for (let run = 1; run <= Number(values.runs); run++) {
        try {
          runs.push(await once(cluster, name, run))
        } catch (error) {
          failures.push(`${name} #${run}: ${(error as Error).message}`)
          say(`${name} #${run} FAILED: ${(error as Error).message}`)
          if (values['keep-on-failure']) {
            say(`hosts are kept until this process ends: ${rig.place.base}, namespaces ${rig.place.prefix}-*`)
            await new Promise(() => setInterval(() => undefined, 60_000))
          }
          await restore(cluster)
        }
        save(facts, runs, failures)
      }
    }
  } finally {
    await rig.close()
  }
  process.stdout.write(`\n${tableOf(runs)}\n\n${values.out}\n`)
  for (const failure of failures) process.stdout.write(`FAILED ${failure.split('\n')[0]}\n`)
  return failures.length === 0 && runs.every((run) => run.verdict.lost.length === 0 && run.verdict.split.length === 0) ? 0 : 1
}

const isFault = (name: string): name is FaultName => Object.hasOwn(faults, name)

async function once(cluster: RigCluster, name: FaultName, run: number): Promise<Run> {
  const fault: Fault = faults[name]
  const { records, ...outcome } = await suffer(cluster, fault)
  const begin = outcome.outage.from - outcome.outageFromMs
  const drops = records.flatMap((record) =>
    record.kind === 'dropped' && record.at >= begin ? [`${(record.at - begin).toFixed(0)} ms: ${record.host}: ${record.reason}`] : [],
  )
  say(
    `${name} #${run}: outage ${outcome.outage.ms.toFixed(0)} ms (${outcome.outageFromMs.toFixed(0)} to ${outcome.outageToMs.toFixed(0)}), later ${outcome.laterGapMs.toFixed(0)} ms, ` +
      `acknowledged ${outcome.verdict.acknowledged}, lost ${outcome.verdict.lost.length}, ${outcome.active} -> ${outcome.activeAfter}${outcome.verdict.split.map((text) => ` SPLIT: ${text}`).join('')}`,
  )
  return { fault: name, run, ...outcome, drops: drops.slice(0, 12) }
}

/** Undoes whatever a failed run has left, so that the next one starts from a whole cluster. */
async function restore(cluster: RigCluster): Promise<void> {
  for (const host of ['node1', 'node2', 'witness'] as const) {
    await cluster.rig.mend(host).catch(() => undefined)
    cluster.rig.thaw(host)
    if (!cluster.rig.isUp(host)) await cluster.boot(host)
  }
}

function tableOf(runs: readonly Run[]): string {
  const names = Object.keys(faults).filter(isFault)
  const rows = names.flatMap((name) => {
    const own = runs.filter((run) => run.fault === name)
    if (own.length === 0) return []
    const outages = own.map((run) => run.outage.ms)
    const { median: wantedMedian, worst: wantedWorst } = goals[name]
    return [
      [
        faults[name].name,
        String(own.length),
        `${median(outages).toFixed(0)} ms`,
        `${worst(outages).toFixed(0)} ms`,
        `${wantedMedian}, ${wantedWorst} ms`,
        String(sum(own.map((run) => run.verdict.acknowledged))),
        String(sum(own.map((run) => run.verdict.lost.length))),
        String(sum(own.map((run) => run.verdict.split.length))),
        `${worst(own.map((run) => run.laterGapMs)).toFixed(0)} ms`,
      ],
    ]
  })
  return markdownTable(['fault', 'runs', 'median', 'worst', 'goal', 'acknowledged', 'lost', 'split', 'worst later gap'], rows)
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)

function save(facts: ReturnType<typeof machineFacts>, runs: readonly Run[], failures: readonly string[]): void {
  mkdirSync(dirname(values.out), { recursive: true })
  writeFileSync(values.out, `${JSON.stringify({ machine: facts, runs, failures }, null, 1)}\n`)
}

function say(text: string): void {
  process.stdout.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`)
}

process.exitCode = await main()
