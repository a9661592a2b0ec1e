import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Fault, type Sufferer, suffer } from './faults/fault.ts'
import { sqlAddress } from './rig/config.ts'
import { type DataName, otherData } from './rig/layout.ts'
import { sql, startPlainPrimary, startPlainStandby } from './rig/postgres.ts'
import { Rig, rigObstacle } from './rig/rig.ts'
import { until } from './rig/wait.ts'

const obstacle = rigObstacle()

/** Plain PostgreSQL, a synchronous standby, and a script in the place of a cluster service. */
class PlainPair implements Sufferer {
  readonly rig: Rig
  private active: DataName = 'node1'

  constructor(rig: Rig) {
    this.rig = rig
  }

  async start(): Promise<void> {
    await startPlainPrimary(this.rig, 'node1')
    for (const statement of ['create role rig login', 'create database rig owner rig']) await sql(this.rig, { host: 'node1' }, statement)
    await sql(this.rig, { host: 'node1', database: 'rig', user: 'rig' }, 'create table w(writer bigint, id bigint)')
    await startPlainStandby(this.rig, 'node2', 'node1')
    for (const statement of ["alter system set synchronous_standby_names = 'node2'", 'select pg_reload_conf()'])
      await sql(this.rig, { host: 'node1' }, statement)
    await until(
      'the standby to be synchronous',
      async () => (await sql(this.rig, { host: 'node1' }, 'select sync_state from pg_stat_replication')) === 'sync',
      { timeoutMs: 20_000 },
    )
    await this.claim('node1')
  }

  async takeOver(): Promise<void> {
    const to = otherData(this.active)
    // inherited with the standby's copy of the settings: the new primary must not wait for a standby that it does not have
    await this.rig.run(to, ['sed', '-i', '/synchronous_standby_names/d', '/mnt/plain/postgresql.auto.conf'])
    await this.rig.run(to, ['pg_ctl', 'reload', '-D', '/mnt/plain'], { user: 'postgres' })
    await this.rig.run(to, ['pg_ctl', 'promote', '-D', '/mnt/plain'], { user: 'postgres' })
    await this.claim(to)
    this.active = to
  }

  owner = (): Promise<DataName> => Promise.resolve(this.active)

  async untilHealthy(): Promise<void> {
    await until('the primary to answer', () => sql(this.rig, { host: this.active }, 'select 1'), { timeoutMs: 20_000 })
  }

  async idsOf(writer: number): Promise<number[]> {
    return (await sql(this.rig, { host: this.active, database: 'rig' }, `select id from w where writer = ${writer}`)).split('\n').map(Number)
  }

  mailbox = (): Promise<never[]> => Promise.resolve([])

  private async claim(host: DataName): Promise<void> {
    await this.rig.run(host, ['ip', 'addr', 'add', `${sqlAddress}/24`, 'dev', 'eth0'])
    await this.rig.run(host, ['arping', '-q', '-U', '-c', '1', '-I', 'eth0', sqlAddress])
  }
}

describe.skipIf(obstacle !== undefined)('the course of a fault', () => {
  let rig: Rig
  let pair: PlainPair
  beforeAll(async () => {
    rig = await Rig.create()
    pair = new PlainPair(rig)
    await pair.start()
  })
  afterAll(async () => {
    await rig?.close()
  })

  const crash: Fault<PlainPair> = {
    name: 'crash',
    inject: async (cluster, active) => {
      await cluster.rig.crash(active)
      await cluster.takeOver()
    },
    undo: (cluster, active) => cluster.rig.boot(active),
  }

  test('a crash with a synchronous standby loses nothing, and the outage is the time of the promotion', async () => {
    const outcome = await suffer(pair, crash)
    expect(outcome.verdict).toMatchObject({ lost: [], doubled: [], split: [] })
    expect(outcome).toMatchObject({ active: 'node1', activeAfter: 'node2' })
    expect(outcome.verdict.acknowledged).toBeGreaterThan(200)
    expect(outcome.outageFromMs).toBeGreaterThan(-50)
    expect(outcome.outage.ms).toBeGreaterThan(20)
    expect(outcome.outage.ms).toBeLessThan(3000)
    process.stdout.write(
      `    outage ${outcome.outage.ms.toFixed(0)} ms, from ${outcome.outageFromMs.toFixed(0)} to ${outcome.outageToMs.toFixed(0)} ms after the fault\n`,
    )
  })
})
