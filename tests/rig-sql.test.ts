import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { acknowledgements, checkSql, longestGap } from './rig/clients/checker.ts'
import { now } from './rig/clients/records.ts'
import { sqlAddress } from './rig/config.ts'
import { sql, startPlainPrimary, startPlainStandby } from './rig/postgres.ts'
import { Rig, rigObstacle } from './rig/rig.ts'
import { until } from './rig/wait.ts'
import { startSqlWriter, untilSteady } from './rig/writer.ts'

const obstacle = rigObstacle()

/** The writer and the checker against plain PostgreSQL, promoted by hand: what they find must be what was done. */
describe.skipIf(obstacle !== undefined)('SQL writer and checker', () => {
  let rig: Rig
  beforeAll(async () => {
    rig = await Rig.create()
    await startPlainPrimary(rig, 'node1')
    await sql(rig, { host: 'node1' }, 'create table w(writer bigint, id bigint)')
    await startPlainStandby(rig, 'node2', 'node1')
    await rig.run('node1', ['ip', 'addr', 'add', `${sqlAddress}/24`, 'dev', 'eth0'])
  })
  afterAll(async () => {
    await rig?.close()
  })

  test('a crash with a promotion by hand: the outage is seen, and what an asynchronous standby lacks is found', async () => {
    const writer = await startSqlWriter(rig, { writer: 1, host: sqlAddress })
    await untilSteady(writer, { forMs: 500, timeoutMs: 20_000 })
    // the standby stops receiving, the primary goes on acknowledging: these writes must be found lost
    await rig.cut('node2')
    const before = acknowledgements(writer.records()).length
    await until('writes that the standby lacks', () => acknowledgements(writer.records()).length > before + 50, { timeoutMs: 20_000 })
    const fault = now()
    await rig.crash('node1')
    await rig.mend('node2')
    await rig.run('node2', ['pg_ctl', 'promote', '-D', '/mnt/plain'], { user: 'postgres' })
    await rig.run('node2', ['ip', 'addr', 'add', `${sqlAddress}/24`, 'dev', 'eth0'])
    await rig.run('node2', ['arping', '-q', '-U', '-c', '1', '-I', 'eth0', sqlAddress])
    await untilSteady(writer, { after: fault, forMs: 500, timeoutMs: 30_000 })
    const records = await writer.stop()
    const present = (await sql(rig, { host: 'node2' }, 'select id from w where writer = 1')).split('\n').map(Number)
    const verdict = checkSql(records, present)
    const gap = longestGap(
      acknowledgements(records).map((record) => record.at),
      fault,
    )
    expect(verdict.lost.length).toBeGreaterThanOrEqual(50)
    expect(verdict.doubled).toEqual([])
    expect(gap.ms).toBeGreaterThan(20)
    expect(new Set(acknowledgements(records).map((record) => record.host))).toEqual(new Set(['node1', 'node2']))
  })

  test('kill ends every process of PostgreSQL on the host, and nothing else', async () => {
    expect(rig.withRole('node2', 'postgres'), 'one postmaster').toHaveLength(1)
    const others = rig.processes('node2').filter((entry) => !entry.program.endsWith('/bin/postgres')).length
    expect(rig.kill('node2', 'postgres')).toBeGreaterThan(4)
    await until('PostgreSQL to be gone', () => rig.withRole('node2', 'postgres').length === 0, { timeoutMs: 5000 })
    expect(rig.processes('node2').length).toBe(others)
  })
})
