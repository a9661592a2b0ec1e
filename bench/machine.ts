import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, release, tmpdir, totalmem } from 'node:os'

/** What a figure depends on, kept beside it. */
export type MachineFacts = {
  readonly at: string
  readonly commit: string
  readonly processor: string
  readonly cores: number
  readonly memoryMiB: number
  readonly kernel: string
  readonly distribution: string
  readonly node: string
  readonly postgres: string
  readonly etcd: string
  /** File system that the hosts' disks are on. */
  readonly fileSystem: string
}

export function machineFacts(): MachineFacts {
  return {
    at: new Date().toISOString(),
    commit: firstLine('git', ['rev-parse', '--short', 'HEAD']),
    processor: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryMiB: Math.round(totalmem() / 2 ** 20),
    kernel: release(),
    distribution: /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'unknown',
    node: process.version,
    postgres: firstLine('/usr/lib/postgresql/15/bin/postgres', ['--version']),
    etcd: firstLine('etcd', ['--version']),
    fileSystem: firstLine('findmnt', ['-no', 'FSTYPE,OPTIONS', '-T', tmpdir()]),
  }
}

function firstLine(program: string, args: readonly string[]): string {
  try {
    return execFileSync(program, [...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).split('\n')[0] ?? ''
  } catch {
    return 'unknown'
  }
}
