import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/** What a person would name a process of a host by. */
export type Role = 'handoffd' | 'guardian' | 'handoff-mailbox' | 'etcd' | 'postgres'

/** A process of a host, with its id as the machine sees it. */
export type HostProcess = { readonly pid: number; readonly parent: number; readonly command: string; readonly program: string }

/** Every process in the pid namespace of the given pid 1. */
export function processesBeside(init: number): HostProcess[] {
  const space = link(`/proc/${init}/ns/pid`)
  if (space === undefined) return []
  const found: HostProcess[] = []
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry) || link(`/proc/${entry}/ns/pid`) !== space) continue
    const status = text(`/proc/${entry}/status`)
    if (status === undefined || /^State:\s+[ZX]/m.test(status)) continue
    found.push({
      pid: Number(entry),
      parent: Number(/^PPid:\s+(\d+)/m.exec(status)?.[1] ?? 0),
      command: (text(`/proc/${entry}/cmdline`) ?? '').split('\0').join(' ').trim(),
      program: link(`/proc/${entry}/exe`) ?? '',
    })
  }
  return found
}

/** The processes of one role; of PostgreSQL the postmasters only, unless `children` are wanted too. */
export function ofRole(
  processes: readonly HostProcess[],
  role: Role,
  options: { readonly children: 'with' | 'without' } = { children: 'without' },
): HostProcess[] {
  if (role === 'postgres') {
    const all = processes.filter((entry) => entry.program.endsWith('/bin/postgres'))
    return options.children === 'with' ? all : all.filter((entry) => !all.some((other) => other.pid === entry.parent))
  }
  return processes.filter((entry) => matches(entry, role))
}

function matches(entry: HostProcess, role: Exclude<Role, 'postgres'>): boolean {
  switch (role) {
    case 'etcd':
      return entry.program.endsWith('/etcd')
    case 'handoffd':
      return /(^|[/ ])handoffd(\.js)?( |$)/.test(entry.command) && isNode(entry)
    case 'guardian':
      return /(^|[/ ])(handoff-)?guardian(\.js)?( |$)/.test(entry.command) && isNode(entry)
    case 'handoff-mailbox':
      return /(^|[/ ])(handoff-)?mailbox(-worker)?(\.js)?( |$)/.test(entry.command) && isNode(entry)
  }
}

function isNode(entry: HostProcess): boolean {
  return entry.program.endsWith('/node') || entry.program.endsWith('/nodejs')
}

/** Sends a signal to processes that may have ended meanwhile. */
export function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal)
    } catch {
      // ended before the signal
    }
  }
}

export function startTimeOf(pid: number): string | undefined {
  const stat = text(`/proc/${pid}/stat`)
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19] // proc(5): field 22, counted after the name, which may hold anything
}

function text(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

function link(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    return undefined
  }
}
