import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { RigCluster, sqlUser } from '../tests/rig/cluster.ts'
import { sqlAddress } from '../tests/rig/config.ts'
import { repository } from '../tests/rig/host.ts'
import { addressOf } from '../tests/rig/layout.ts'
import { sql, startPlainPrimary, startPlainStandby } from '../tests/rig/postgres.ts'
import { Rig, rigObstacle } from '../tests/rig/rig.ts'
import { until } from '../tests/rig/wait.ts'
import { machineFacts } from './machine.ts'
import { markdownTable, median } from './statistics.ts'

/**
 * What the safety costs: pgbench through Handoff's two copies, and through bare PostgreSQL with one synchronous standby and the same
 * settings, on the same hosts, in turns, in one run. The ratio of the commit latencies is the figure.
 */
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '10' },
    clients: { type: 'string', default: '1,8' },
    out: { type: 'string', default: join(repository, 'bench/results/commit.json') },
  },
})

type Side = 'handoff' | 'bare'
type Sample = { readonly side: Side; readonly clients: number; readonly round: number; readonly tps: number; readonly latencyMs: number }

/** Two pairs of servers share the hosts, so that neither has the better disk or the luckier minute; only one is loaded at a time. */
const barePort = 5433

async function main(): Promise<number> {
  const obstacle = rigObstacle()
  if (obstacle !== undefined) {
    process.stderr.write(`the hosts cannot be made here: ${obstacle}\n`)
    return 1
  }
  const rig = await Rig.create()
  try {
    const cluster = await RigCluster.create(rig, { mail: false })
    const owner = await cluster.owner()
    const other = owner === 'node1' ? 'node2' : 'node1'
    const settings = await settingsOf(cluster)
    const bare = { ...settings, port: String(barePort), unix_socket_directories: '/run/postgresql' }
    await startPlainPrimary(rig, owner, { settings: bare })
    await startPlainStandby(rig, other, owner, { settings: bare })
    await sql(rig, { host: owner, port: barePort }, `alter system set synchronous_standby_names = '${other}'`)
    await sql(rig, { host: owner, port: barePort }, 'select pg_reload_conf()')
    await until(
      'the bare standby to be synchronous',
      async () => (await sql(rig, { host: owner, port: barePort }, 'select sync_state from pg_stat_replication')) === 'sync',
      { timeoutMs: 30_000 },
    )
    const sides: Record<Side, readonly string[]> = {
      handoff: ['-h', sqlAddress, '-p', '5432', '-U', sqlUser, sqlUser],
      bare: ['-h', addressOf(owner, 'public'), '-p', String(barePort), '-U', 'postgres', 'postgres'],
    }
    for (const side of ['handoff', 'bare'] as const) await rig.run('client', ['pgbench', '-i', '-q', '-s', '10', ...sides[side]], { timeoutMs: 300_000 })
    const samples: Sample[] = []
    for (const clients of values.clients.split(',').map(Number)) {
      for (let round = 1; round <= Number(values.rounds); round++) {
        for (const side of round % 2 === 1 ? (['handoff', 'bare'] as const) : (['bare', 'handoff'] as const)) {
          const flags = ['-n', '-N', '-c', String(clients), '-j', '1', '-T', values.seconds]
          const out = await rig.run('client', ['pgbench', ...flags, ...sides[side]], { timeoutMs: 1000 * (Number(values.seconds) + 60) })
          const sample = {
            side,
            clients,
            round,
            tps: Number(/^tps = ([\d.]+)/m.exec(out)?.[1]),
            latencyMs: Number(/^latency average = ([\d.]+)/m.exec(out)?.[1]),
          }
          samples.push(sample)
          process.stdout.write(`${side} ${clients} clients #${round}: ${sample.tps.toFixed(0)} tps, ${sample.latencyMs.toFixed(3)} ms\n`)
        }
      }
    }
    report(samples, settings)
    return 0
  } finally {
    await rig.close()
  }
}

/** The settings that Handoff chose and that bear on the cost of a commit, read from the server itself. */
async function settingsOf(cluster: RigCluster): Promise<Record<string, string>> {
  const names = [
    'shared_buffers',
    'max_wal_size',
    'min_wal_size',
    'checkpoint_timeout',
    'synchronous_commit',
    'full_page_writes',
    'fsync',
    'wal_compression',
    'commit_delay',
    'wal_log_hints',
  ]
  const rows = await cluster.sql(`select name || '=' || current_setting(name) from pg_settings where name in (${names.map((name) => `'${name}'`).join(', ')})`)
  return Object.fromEntries(rows.split('\n').map((row) => [row.slice(0, row.indexOf('=')), row.slice(row.indexOf('=') + 1)]))
}

function report(samples: readonly Sample[], settings: Readonly<Record<string, string>>): void {
  const clientCounts = [...new Set(samples.map((sample) => sample.clients))]
  const figure = (side: Side, clients: number, key: 'tps' | 'latencyMs'): number =>
    median(samples.filter((sample) => sample.side === side && sample.clients === clients).map((sample) => sample[key]))
  const rows = clientCounts.map((clients) => ({
    clients,
    handoffMs: figure('handoff', clients, 'latencyMs'),
    bareMs: figure('bare', clients, 'latencyMs'),
    handoffTps: figure('handoff', clients, 'tps'),
    bareTps: figure('bare', clients, 'tps'),
    ratio: figure('handoff', clients, 'latencyMs') / figure('bare', clients, 'latencyMs'),
  }))
  const cells = rows.map((row) => [
    String(row.clients),
    `${row.handoffMs.toFixed(2)} ms`,
    `${row.bareMs.toFixed(2)} ms`,
    `${row.handoffTps.toFixed(0)}/s`,
    `${row.bareTps.toFixed(0)}/s`,
    `${row.ratio.toFixed(2)} (goal 1.1)`,
  ])
  process.stdout.write(`\n${markdownTable(['clients', 'Handoff', 'bare synchronous pair', 'Handoff', 'bare', 'ratio of latency'], cells)}\n\n${values.out}\n`)
  mkdirSync(dirname(values.out), { recursive: true })
  writeFileSync(values.out, `${JSON.stringify({ machine: machineFacts(), settings, rows, samples }, null, 1)}\n`)
}

process.exitCode = await main()
