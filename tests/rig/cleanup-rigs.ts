import { existsSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { attempt, attemptSync } from './command.ts'
import { killHost, type Place } from './host.ts'
import { hostNames } from './layout.ts'
import { startTimeOf } from './processes.ts'

/** Ends every process of a rig and removes its namespaces and files; for exit handlers, so nothing is awaited. */
export function removeRigSync(place: Place): void {
  for (const host of hostNames) killHost(place, host)
  for (const host of [...hostNames, 'switch']) {
    if (existsSync(`/run/netns/${place.prefix}-${host}`)) attemptSync('ip', ['netns', 'del', `${place.prefix}-${host}`])
  }
  try {
    rmSync(place.base, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })
  } catch {
    // a process that is still dying may write its last file; the next cleaning takes it
  }
}

/** Removes rigs whose test process has died without doing so. Kept rigs stay, unless they are asked for. */
export async function removeDeadRigs(options: { readonly kept?: 'too' } = {}): Promise<string[]> {
  const removed: string[] = []
  for (const prefix of await rigPrefixes()) {
    const [, pid, start] = prefix.split('.')
    const alive = pid === 'keep' ? options.kept !== 'too' : pid !== undefined && startTimeOf(Number(pid)) === start
    if (alive) continue
    removeRigSync({ prefix, base: join(tmpdir(), prefix) })
    removed.push(prefix)
  }
  return removed
}

async function rigPrefixes(): Promise<string[]> {
  const spaces = (await attempt('ip', ['netns', 'list'])).stdout.split('\n').map((line) => line.split(' ')[0] ?? '')
  const directories = readdirSync(tmpdir())
  const names = [...spaces.map((space) => space.replace(/-[a-z0-9]+$/, '')), ...directories]
  return [...new Set(names.filter((name) => /^horig\.(\d+\.\d+|keep\.[a-z0-9]+)$/.test(name)))]
}
