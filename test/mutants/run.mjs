// Runs the simulator with one safeguard removed at a time. A mutant that no seed catches is a failure.
//   node test/mutants/run.mjs            looks for a seed, up to --seeds (3000) each
//   node test/mutants/run.mjs --all      also for those that known.json explains
//   node test/mutants/run.mjs --known    verifies only the seeds in known.json (under a minute); --write rewrites that file
//   node test/mutants/run.mjs --quick    only those with a seed that is found soon, looked for again
// Caught means: an invariant does not hold with the mutant, in a seed where all of them hold without it.
import { spawn } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { mutants } from './list.mjs'

const { values } = parseArgs({
  options: {
    dist: { type: 'string', default: resolve(import.meta.dirname, '../../dist') },
    seeds: { type: 'string', default: '3000' },
    jobs: { type: 'string', default: '2' },
    only: { type: 'string' },
    known: { type: 'boolean', default: false },
    all: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
  },
})

const knownFile = join(import.meta.dirname, 'known.json')
/** Names of mutants that no seed catches, each with the sentence why; not counted as caught. */
const known = JSON.parse(readFileSync(knownFile, 'utf8'))
const folders = ['sim', 'groups', 'supervisor', 'cluster', 'replication']

/** `--quick`: mutants whose known seed is below the first number, looked for among twice as many and more. */
const quick = { below: 120, seeds: 400 }

function mutate(mutant) {
  const work = mkdtempSync(join(tmpdir(), 'handoff-mutant-'))
  for (const folder of folders) cpSync(join(values.dist, folder), join(work, folder), { recursive: true })
  cpSync(join(values.dist, 'errors.js'), join(work, 'errors.js'))
  writeFileSync(join(work, 'package.json'), '{"type":"module"}')
  for (const { file, find, replace } of mutant.edits) {
    const path = join(work, file)
    const text = readFileSync(path, 'utf8')
    if (text.split(find).length !== 2) throw new Error(`"${mutant.name}": the text to replace occurs ${text.split(find).length - 1} times in ${file}: ${find}`)
    writeFileSync(
      path,
      text.replace(find, () => replace),
    )
  }
  return work
}

function simulate(work, args) {
  return new Promise((done, failed) => {
    const child = spawn(process.execPath, [join(work, 'sim/main.js'), '--json', ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
    let text = ''
    child.stdout.on('data', (chunk) => (text += chunk))
    child.on('error', failed)
    child.on('close', () => {
      try {
        done(JSON.parse(text))
      } catch (error) {
        failed(error)
      }
    })
  })
}

/** The failure of one seed, or undefined. */
async function failureOf(work, seed) {
  return (await simulate(work, ['--seeds', '1', '--from', String(seed), '--jobs', '1'])).failed[0]
}

/** @returns the first failure that is the mutant's own, if there is one */
async function search(work, seeds) {
  for (let from = 1; from <= seeds; ) {
    const { failed } = await simulate(work, ['--seeds', String(seeds - from + 1), '--from', String(from), '--jobs', values.jobs, '--stop'])
    if (failed.length === 0) return undefined
    const [first] = failed.toSorted((left, right) => left.seed - right.seed)
    if (first.invariant === 0) throw new Error(`seed ${first.seed} does not run: ${first.message}`)
    if ((await failureOf(values.dist, first.seed)) === undefined) return first
    console.log(`          seed ${first.seed} fails without any mutant`)
    from = first.seed + 1
  }
  return undefined
}

async function run(mutant) {
  const work = mutate(mutant)
  try {
    const entry = known[mutant.name]
    if (values.known) {
      if (entry?.seed === undefined) return { mutant, uncaught: entry?.uncaught ?? 'no seed is known' }
      return { mutant, caught: await failureOf(work, entry.seed), seeds: 1 }
    }
    if (entry?.uncaught !== undefined && !values.all) return { mutant, uncaught: entry.uncaught }
    const seeds = values.quick ? quick.seeds : Number(values.seeds)
    return { mutant, caught: await search(work, seeds), seeds, ...(entry?.uncaught === undefined ? {} : { uncaught: entry.uncaught }) }
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

let failures = 0
let caught = 0
let tried = 0
const found = {}
for (const mutant of mutants) {
  if (values.only !== undefined && !mutant.name.includes(values.only)) continue
  if (values.quick && !(known[mutant.name]?.seed < quick.below)) continue
  tried++
  const result = await run(mutant)
  if (result.caught !== undefined) {
    caught++
    found[mutant.name] = { seed: result.caught.seed, invariant: result.caught.invariant }
    console.log(`caught    ${mutant.name}: invariant ${result.caught.invariant}, seed ${result.caught.seed} (${result.caught.message})`)
  } else if (result.uncaught !== undefined && result.uncaught !== 'no seed is known') {
    found[mutant.name] = { uncaught: result.uncaught }
    console.log(`uncaught  ${mutant.name}: ${result.uncaught}`)
  } else {
    failures++
    console.log(`SURVIVED  ${mutant.name}${values.known ? ': its known seed no longer shows it; run without --known --write' : ` (${result.seeds} seeds)`}`)
  }
}
if (values.write) writeFileSync(knownFile, `${JSON.stringify({ ...known, ...found }, null, 2)}\n`)
console.log(`${caught} of ${tried} mutants caught, ${failures} survived`)
process.exitCode = failures === 0 ? 0 : 1
