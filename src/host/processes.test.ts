import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { writeFileAtomically } from './atomic-file.ts'
import { lockHolder, takeLock } from './lock-file.ts'
import { identify, isRunning, killProcess, processesIn, spawnDetached } from './processes.ts'

let directory = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'handoff-host-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

test('a process is known by number and start time, and a killed one is not running even before it is waited for', async () => {
  const started = spawnDetached('/bin/sleep', ['300'])
  expect(started).not.toBeNull()
  if (started === null) return
  expect(isRunning(started.id)).toBe(true)
  expect(isRunning({ ...started.id, startTicks: '1' })).toBe(false)
  expect(killProcess({ ...started.id, startTicks: '1' })).toBe(false)
  expect(isRunning(started.id)).toBe(true)
  expect(killProcess(started.id)).toBe(true)
  await started.exited
  expect(identify(started.id.pid)).toBeNull()
})

test('a program that is not there is no process', () => {
  expect(spawnDetached('/nowhere/program', [])).toBeNull()
})

test('processes are found by the directory that they work in and by their program', () => {
  const start = (program: string, ...args: string[]): ChildProcess => spawn(program, args, { cwd: directory, stdio: ['pipe', 'ignore', 'ignore'] })
  const children = [start(process.execPath, '-e', 'setInterval(() => {}, 1e6)'), start('/bin/sh', '-c', 'read line')]
  try {
    expect(processesIn(directory, basename(realpathSync(process.execPath))).map((one) => one.pid)).toEqual([children[0]?.pid])
    expect(processesIn(directory, 'postgres')).toEqual([])
  } finally {
    for (const child of children) child.kill('SIGKILL')
  }
})

test('a lock is held by one living process, and a dead one loses it', async () => {
  const file = join(directory, 'lock')
  const other = spawnDetached('/bin/sleep', ['300'])
  if (other === null) throw new Error('sleep did not start')
  writeFileSync(file, `${other.id.pid} ${other.id.startTicks}\n`)
  expect(takeLock(file)).toEqual({ holder: other.id })
  killProcess(other.id)
  await other.exited
  const lock = takeLock(file)
  expect('release' in lock).toBe(true)
  expect(lockHolder(file)?.pid).toBe(process.pid)
  if ('release' in lock) lock.release()
  expect(readdirSync(directory)).toEqual([])
})

test('a lock file that is not whole is no lock', () => {
  const file = join(directory, 'lock')
  writeFileSync(file, '')
  expect('release' in takeLock(file)).toBe(true)
})

test('a file is replaced as a whole, and no draft is left', () => {
  const file = join(directory, 'state.json')
  writeFileAtomically(file, 'one')
  writeFileAtomically(file, 'two')
  expect(readFileSync(file, 'utf8')).toBe('two')
  expect(readdirSync(directory)).toEqual(['state.json'])
})
