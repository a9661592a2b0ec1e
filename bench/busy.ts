import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { acknowledgements, checkSql, longestGap } from '../tests/rig/clients/checker.ts'
import { now } from '../tests/rig/clients/records.ts'
import { RigCluster, sqlUser } from '../tests/rig/cluster.ts'
import { sqlAddress } from '../tests/rig/config.ts'
import { dataNames } from '../tests/rig/layout.ts'
import { signalAll } from '../tests/rig/processes.ts'
import { repository } from '../tests/rig/host.ts'
import { Rig, rigObstacle } from '../tests/rig/rig.ts'
import { letPass } from '../tests/rig/wait.ts'
import { startSqlWriter, untilSteady } from '../tests/rig/writer.ts'
import { machineFacts } from './machine.ts'

/**
 * A machine that is merely busy must not be failed over. Four spinning processes per core and steady synchronous disk writes on the
 * data nodes, all on the cores that the cluster's own processes need; every change of owner is a false failover.
 */
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '60' },
    'per-core': { type: 'string', default: '4' },
    out: { type: 'string', default: join(repository, 'bench/results/busy.json') },
  },
})

const spin = 'while :; do :; done'
const write = 'while :; do dd if=/dev/zero of=/mnt/tmp/load bs=64k count=64 conv=fsync status=none; done'

async function main(): Promise<number> {
  const obstacle = rigObstacle()
  if (obstacle !== undefined) {
    process.stderr.write(`the hosts cannot be made here: ${obstacle}\n`)
    return 1
  }
  const rig = await Rig.create()
  try {
    const cluster = await RigCluster.create(rig, { mail: false })
    const writer = await startSqlWriter(rig, { writer: 1, host: sqlAddress, intervalMs: 50, replyMs: 60_000, user: sqlUser, database: sqlUser })
    await untilSteady(writer, { forMs: 1000, timeoutMs: 30_000 })
    const before = await cluster.group('witness')
    const spinning = Number(values['per-core']) * cpus().length
    for (let index = 0; index < spinning; index++) await rig.start(dataNames[index % 2] ?? 'node1', 'load', ['bash', '-c', spin])
    for (const host of dataNames) await rig.start(host, 'load', ['bash', '-c', write])
    const begin = now()
    const end = begin + Number(values.minutes) * 60_000
    let epoch = before.epoch
    const changes: string[] = []
    while (now() < end) {
      await letPass(1000)
      const group = await cluster.group('witness').catch(() => undefined)
      if (group !== undefined && group.epoch !== epoch) {
        changes.push(`${((now() - begin) / 1000).toFixed(0)} s: epoch ${epoch} to ${group.epoch}, owner ${group.owner}: ${group.cause}`)
        process.stdout.write(`false failover at ${changes.at(-1)}\n`)
        epoch = group.epoch
      }
    }
    for (const host of dataNames)
      signalAll(
        rig
          .processes(host)
          .filter((entry) => entry.command === `bash -c ${spin}` || entry.command === `bash -c ${write}`)
          .map((entry) => entry.pid),
        'SIGKILL',
      )
    const records = await writer.stop()
    await cluster.untilHealthy()
    const verdict = checkSql(records, await cluster.idsOf(1))
    const gap = longestGap(
      acknowledgements(records).map((record) => record.at),
      begin,
    )
    const result = {
      minutes: Number(values.minutes),
      spinning,
      falseFailovers: changes.length,
      changes,
      acknowledged: verdict.acknowledged,
      lost: verdict.lost.length,
      longestGapMs: Math.round(gap.ms),
    }
    mkdirSync(dirname(values.out), { recursive: true })
    writeFileSync(values.out, `${JSON.stringify({ machine: machineFacts(), ...result }, null, 1)}\n`)
    process.stdout.write(`${JSON.stringify(result)}\n`)
    return changes.length === 0 && verdict.lost.length === 0 ? 0 : 1
  } finally {
    await rig.close()
  }
}

process.exitCode = await main()
