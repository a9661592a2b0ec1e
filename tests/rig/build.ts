import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { attempt } from './command.ts'
import { repository } from './host.ts'

/** The compiled form of a client program; compiled now when its sources are newer. Node 20 runs no TypeScript. */
export async function clientProgram(name: 'sql-writer' | 'mail-client' | 'list-mailbox'): Promise<string> {
  const compiled = join(repository, 'dist-bench/tests/rig/clients', `${name}.js`)
  const sources = join(repository, 'tests/rig/clients')
  const newest = Math.max(...readdirSync(sources).map((file) => statSync(join(sources, file)).mtimeMs))
  if (!existsSync(compiled) || statSync(compiled).mtimeMs < newest) {
    const result = await attempt(process.execPath, [join(repository, 'node_modules/typescript/bin/tsc'), '-p', join(repository, 'tsconfig.bench.json')])
    if (!existsSync(compiled)) throw new Error(`cannot compile the clients:\n${result.stdout}${result.stderr}`)
  }
  return compiled
}
