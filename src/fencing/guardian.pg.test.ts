import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
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
    const postmaster = Number(readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')[0])
    const backend = Number((await client.query('select pg_backend_pid()')).rows[0].pg_backend_pid)
    // Computes without waiting for anything, so it would not notice for long that its postmaster is gone.
    const query = client.query('select count(*) from generate_series(1, 100000000000::bigint)').then(
      () => 'answered',
      () => 'cut off',
    )
    workshop.guardian(program, workshop.config(1, await freePort()), join(workshop.directory, 'g.sock'))
    const agent = await Agent.hello(join(workshop.directory, 'g.sock'))
    expect(processesIn(data, 'postgres').length).toBeGreaterThan(5)
    const deadlineMs = monotonicMs() + 100
    agent.say({
      type: 'deadlines',
      groups: [{ group: 'sg1', epoch: 1, deadlineMs, processes: [], directories: [{ path: data, program: 'postgres' }], addresses: [] }],
    })
    expect(await query).toBe('cut off')
    await vi.waitFor(() => expect(agent.last('enforced')).toBeDefined(), { timeout: 5000, interval: 2 })
    const enforced = agent.last('enforced')
    expect(enforced?.failed).toEqual([])
    // The others may have ended by themselves, because their postmaster had, before their turn came.
    for (const pid of [postmaster, backend]) expect(enforced?.did).toContainEqual(expect.stringMatching(`^killed .* ${pid}$`))
    await vi.waitFor(() => expect(processesIn(data, 'postgres')).toEqual([]), { timeout: 5000, interval: 2 })
  } finally {
    workshop.end()
    await postgres.stop()
    rmSync(compiled, { recursive: true, force: true })
  }
})
