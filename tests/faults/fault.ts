import { mailAddress, sqlAddress } from '../rig/config.ts'
import { acknowledgements, checkMail, checkSql, findSplit, type Gap, longestGap, type MailVerdict, type SqlVerdict } from '../rig/clients/checker.ts'
import { type MailRecord, now, type SqlRecord } from '../rig/clients/records.ts'
import { mailUser, type RigCluster, sqlUser } from '../rig/cluster.ts'
import { addressOf, type DataName, otherData } from '../rig/layout.ts'
import { letPass, until } from '../rig/wait.ts'
import { type RigClient, startMailClient, startSqlWriter, untilSteady } from '../rig/writer.ts'

/** What a fault is done to: Handoff, or a pair of servers under another hand. */
export type Sufferer = Pick<RigCluster, 'rig' | 'untilHealthy' | 'owner' | 'idsOf' | 'mailbox'>

export type Inject<C extends Sufferer = RigCluster> = (cluster: C, active: DataName) => Promise<void> | void

export type Fault<C extends Sufferer = RigCluster> = {
  readonly name: string
  /** Puts the cluster into the state in which the fault is to strike, while writes flow. */
  readonly prepare?: Inject<C>
  readonly inject: Inject<C>
  /** Undoes what was done, after writes have been steady again. */
  readonly undo?: Inject<C>
  /** Also write straight to the old active node, to see whether it acknowledges when it should not. */
  readonly watchOld?: boolean
  /** How long writes must have been steady before the fault counts as over. */
  readonly steadyMs?: number
  readonly recoverMsMax?: number
}

export type FaultOutcome = {
  readonly active: DataName
  readonly activeAfter: DataName
  readonly outage: Gap
  /** When the outage began and ended, counted from the fault. */
  readonly outageFromMs: number
  readonly outageToMs: number
  /** Longest gap after that one, until everything was healthy again. */
  readonly laterGapMs: number
  readonly verdict: SqlVerdict
  readonly injectMs: number
  /** Present when mail was delivered and read too; `gapMs` is the longest time without a delivery. */
  readonly mail?: MailVerdict & { readonly gapMs: number; readonly deliveredAgain: number }
  readonly records: readonly SqlRecord[]
}

let writers = Date.now() % 1_000_000

/** One fault from start to end: writes flow, the fault strikes, writes are steady again, it is undone, everything is healthy, nothing is lost. */
export async function suffer<C extends Sufferer = RigCluster>(
  cluster: C,
  fault: Fault<C>,
  options: { readonly mail: 'too' | 'none' } = { mail: 'none' },
): Promise<FaultOutcome> {
  await cluster.untilHealthy()
  const active = await cluster.owner()
  writers += 2
  const writer = writers
  const client = await startSqlWriter(cluster.rig, { writer, host: sqlAddress, user: sqlUser, database: sqlUser })
  const old =
    fault.watchOld === true
      ? await startSqlWriter(cluster.rig, {
          writer: writer + 1,
          host: addressOf(active, 'public'),
          from: active,
          intervalMs: 20,
          replyMs: 2000,
          user: sqlUser,
          database: sqlUser,
        })
      : undefined
  const mail = options.mail === 'too' ? await startMailClient(cluster.rig, { run: `f${writer}`, host: mailAddress, ...mailUser }) : undefined
  try {
    if (mail !== undefined) await untilMailFlows(mail, 0)
    await untilSteady(client, { forMs: 1000, timeoutMs: 30_000 })
    await fault.prepare?.(cluster, active)
    const begin = now()
    await fault.inject(cluster, active)
    const injected = now()
    await untilSteady(client, { after: injected, forMs: fault.steadyMs ?? 2000, timeoutMs: fault.recoverMsMax ?? 60_000 })
    const recovered = now()
    if (mail !== undefined) await untilMailFlows(mail, injected)
    client.slowDown()
    await fault.undo?.(cluster, active)
    await cluster.untilHealthy()
    if (mail !== undefined) await untilMailFlows(mail, now())
    return await conclude(cluster, { client, old, mail, writer, active, begin, injected, recovered })
  } finally {
    await client.stop()
    await mail?.stop()
    await old?.stop()
  }
}

/** Waits until messages are taken, and shown, that were sent after the given time. */
async function untilMailFlows(mail: RigClient<MailRecord>, after: number): Promise<void> {
  await until(
    'mail to be taken and shown',
    () => {
      const records = mail.records()
      const taken = records.filter((record) => record.kind === 'delivered' && record.sent > after)
      return taken.length >= 5 && records.some((record) => record.kind === 'seen' && record.at > after)
    },
    { timeoutMs: 60_000 },
  )
}

async function concludeMail(cluster: Sufferer, mail: RigClient<MailRecord>, begin: number): Promise<NonNullable<FaultOutcome['mail']>> {
  const records = await mail.stop()
  const run = records.find((record) => record.kind === 'delivered')?.messageId.split('-')[0] ?? ''
  const present = (await cluster.mailbox()).filter((entry) => entry.messageId.startsWith(`${run}-`))
  const own = records.filter((record) => record.kind !== 'seen' || record.messageId.startsWith(`${run}-`))
  const delivered = records.filter((record) => record.kind === 'delivered')
  const times = delivered.map((record) => record.at)
  return { ...checkMail(own, present), gapMs: longestGap(times, begin).ms, deliveredAgain: delivered.filter((record) => record.tries > 1).length }
}

type Course = {
  readonly client: RigClient<SqlRecord>
  readonly old: RigClient<SqlRecord> | undefined
  readonly mail: RigClient<MailRecord> | undefined
  readonly writer: number
  readonly active: DataName
  readonly begin: number
  readonly injected: number
  readonly recovered: number
}

async function conclude(cluster: Sufferer, course: Course): Promise<FaultOutcome> {
  const records = await course.client.stop()
  const oldRecords = (await course.old?.stop()) ?? []
  const times = acknowledgements(records).map((record) => record.at)
  const outage = longestGap(times, course.begin, course.recovered)
  const verdict = checkSql(records, await cluster.idsOf(course.writer))
  const oldVerdict = checkSql(oldRecords, oldRecords.length === 0 ? [] : await cluster.idsOf(course.writer + 1))
  return {
    active: course.active,
    activeAfter: await cluster.owner(),
    outage,
    outageFromMs: outage.from - course.begin,
    outageToMs: outage.to - course.begin,
    laterGapMs: longestGap(times, outage.to + 0.001).ms,
    verdict: {
      acknowledged: verdict.acknowledged + oldVerdict.acknowledged,
      lost: [...verdict.lost, ...oldVerdict.lost],
      doubled: [...verdict.doubled, ...oldVerdict.doubled],
      split: findSplit([...acknowledgements(records), ...acknowledgements(oldRecords)]),
      warned: [...verdict.warned, ...oldVerdict.warned],
    },
    injectMs: course.injected - course.begin,
    ...(course.mail === undefined ? {} : { mail: await concludeMail(cluster, course.mail, course.begin) }),
    records,
  }
}

/** The faults of the benchmark, by name. */
export const faults = {
  move: { name: 'planned move', inject: (cluster, active) => cluster.move(otherData(active)) },
  kill: { name: 'kill -9 of postgres', inject: (cluster, active) => void cluster.rig.kill(active, 'postgres') },
  crash: {
    name: 'whole-node crash',
    prepare: (cluster) => cluster.moveEtcdLeader('witness'),
    inject: (cluster, active) => cluster.rig.crash(active),
    undo: (cluster, active) => cluster.boot(active),
  },
  crashLeader: {
    name: "whole-node crash, etcd's leader on it",
    prepare: (cluster, active) => cluster.moveEtcdLeader(active),
    inject: (cluster, active) => cluster.rig.crash(active),
    undo: (cluster, active) => cluster.boot(active),
  },
  cut: {
    name: 'cable out, processes alive',
    watchOld: true,
    inject: (cluster, active) => cluster.rig.cut(active),
    undo: async (cluster, active) => {
      await letPass(5000) // long enough for the isolated node to have ended its copy by itself
      await cluster.rig.mend(active)
    },
  },
  freeze: {
    name: 'freeze, thaw later',
    watchOld: true,
    inject: (cluster, active) => cluster.rig.freeze(active),
    undo: async (cluster, active) => {
      await letPass(Number(process.env['RIG_FREEZE_MS'] ?? 30_000))
      cluster.rig.thaw(active)
    },
  },
} as const satisfies Record<string, Fault>
