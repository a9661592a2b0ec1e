// Runs the simulator with one safeguard removed at a time. A mutant that no seed catches is a failure.
//   node test/mutants/run.mjs            looks for a seed, up to --seeds (3000) each
//   node test/mutants/run.mjs --all      also for those that known.json explains
//   node test/mutants/run.mjs --known    verifies only the seeds in known.json (under a minute); --write rewrites that file
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
    write: { type: 'boolean', default: false },
  },
})

const knownFile = join(import.meta.dirname, 'known.json')
/** Names of mutants that no seed catches, each with the sentence why; not counted as caught. */
const known = JSON.parse(readFileSync(knownFile, 'utf8'))
const folders = ['sim', 'groups', 'supervisor', 'cluster', 'replication']

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

async function run(mutant) {
  const work = mutate(mutant)
  try {
    const entry = known[mutant.name]
    if (values.known) {
      if (entry?.seed === undefined) return { mutant, uncaught: entry?.uncaught ?? 'no seed is known' }
      const { failed } = await simulate(work, ['--seeds', '1', '--from', String(entry.seed), '--jobs', '1'])
      return { mutant, caught: failed[0], seeds: 1 }
    }
    if (entry?.uncaught !== undefined && !values.all) return { mutant, uncaught: entry.uncaught }
    const result = await simulate(work, ['--seeds', values.seeds, '--from', '1', '--jobs', values.jobs, '--stop'])
    return { mutant, caught: result.failed[0], seeds: result.seeds, ...(entry?.uncaught === undefined ? {} : { uncaught: entry.uncaught }) }
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

let failures = 0
let caught = 0
const found = {}
for (const mutant of mutants) {
  if (values.only !== undefined && !mutant.name.includes(values.only)) continue
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
console.log(`${caught} of ${mutants.length} mutants caught, ${failures} survived`)
process.exitCode = failures === 0 ? 0 : 1
