import { readdirSync, readFileSync } from 'node:fs'

/**
 * Every process of one demo node: those that carry its mark in their environment, and their descendants (a PostgreSQL backend
 * overwrites its environment, so it is found by its parent).
 */
export function processesOf(mark: string): number[] {
  const parents = new Map<number, number>()
  const marked = new Set<number>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const pid = Number(name)
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      parents.set(pid, Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]))
      if (readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(`HANDOFF_DEMO_NODE=${mark}`)) marked.add(pid)
    } catch {
      // Ended meanwhile, or somebody else's.
    }
  }
  for (let grown = true; grown; ) {
    grown = false
    for (const [pid, parent] of parents) {
      if (!marked.has(pid) && marked.has(parent)) {
        marked.add(pid)
        grown = true
      }
    }
  }
  marked.delete(process.pid)
  return [...marked]
}

/** The end of a whole machine, as far as one machine can play it: everything is stopped at one instant and then killed. */
export function crash(mark: string): number {
  const pids = processesOf(mark)
  for (const pid of pids) signal(pid, 'SIGSTOP')
  for (const pid of [...new Set([...pids, ...processesOf(mark)])]) signal(pid, 'SIGKILL')
  return pids.length
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // Gone already.
  }
}
