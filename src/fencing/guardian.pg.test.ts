import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { expect, test, vi } from 'vitest'
import { monotonicMs } from '../host/clock.ts'
import { compileProgram } from '../host/fixture.ts'
import { processesIn } from '../host/processes.ts'
import { freePort, startThrowaway } from '../postgres/fixture.ts'
import { Agent, Workshop } from './fixture.ts'

test('at the deadline no process of a PostgreSQL instance is left, busy backends included', async () => {
  const compiled = mkdtempSync(join(tmpdir(), 'handoff-guardian-program-'))
  const workshop = new Workshop()
  const postgres = await startThrowaway()
  try {
    const program = compileProgram(compiled, 'daemons/guardian.ts')
    const data = join(postgres.socketDirectory, 'data')
    const client = new pg.Client(postgres.address('postgres'))
    client.on('error', () => {})
    await client.connect()
    // Computes without waiting for anything, so it would not notice for long that its postmaster is gone.
    const query = client.query('select count(*) from generate_series(1, 100000000000::bigint)').then(
      () => 'answered',
      () => 'cut off',
    )
    workshop.guardian(program, workshop.config(1, await freePort()), join(workshop.directory, 'g.sock'))
    const agent = await Agent.hello(join(workshop.directory, 'g.sock'))
    const before = processesIn(data, 'postgres').length
    expect(before).toBeGreaterThan(5)
    const deadlineMs = monotonicMs() + 100
    agent.say({
      type: 'deadlines',
      groups: [{ group: 'sg1', epoch: 1, deadlineMs, processes: [], directories: [{ path: data, program: 'postgres' }], addresses: [] }],
    })
    expect(await query).toBe('cut off')
    await vi.waitFor(() => expect(agent.last('enforced')).toBeDefined(), { timeout: 5000, interval: 2 })
    const enforced = agent.last('enforced')
    expect(enforced?.failed).toEqual([])
    expect(enforced?.did.length).toBeGreaterThanOrEqual(before - 1)
    expect(processesIn(data, 'postgres')).toEqual([])
    expect((enforced?.atMs ?? 0) - deadlineMs).toBeLessThan(500)
  } finally {
    workshop.end()
    await postgres.stop()
    rmSync(compiled, { recursive: true, force: true })
  }
})
