import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { openSession, type PostgresSession } from './postgres-wire.ts'
import { now, Recorder, type SqlRecord } from './records.ts'

/**
 * One row per transaction on one connection, at a fixed rate, through the virtual address. A late reply or any error drops the
 * connection; an id is never tried twice. Without a connection it begins to connect every `retryMs`, whether or not earlier
 * attempts have ended: an attempt whose first packet went to a dead host would otherwise hide that the service is back.
 * SIGUSR2 slows it down (only watching), SIGTERM ends it.
 */
const { values } = parseArgs({
  options: {
    host: { type: 'string', default: '10.77.0.100' },
    port: { type: 'string', default: '5432' },
    user: { type: 'string', default: 'postgres' },
    database: { type: 'string', default: 'postgres' },
    writer: { type: 'string', default: '1' },
    out: { type: 'string', default: '/dev/stdout' },
    intervalMs: { type: 'string', default: '5' },
    connectMs: { type: 'string', default: '300' },
    replyMs: { type: 'string', default: '400' },
    retryMs: { type: 'string', default: '20' },
  },
})
const target = { host: values.host, port: Number(values.port), user: values.user, database: values.database, limitMs: Number(values.connectMs) }
const writer = Number(values.writer)
let intervalMs = Number(values.intervalMs)
let ending = false
const recorder = new Recorder<SqlRecord>(values.out)
process.on('SIGTERM', () => {
  ending = true
})
process.on('SIGINT', () => {
  ending = true
})
process.on('SIGUSR2', () => {
  intervalMs = 100
})

type Open = { readonly session: PostgresSession; readonly host: string }

async function open(): Promise<Open | undefined> {
  let first: (Open & { readonly epoch: string; readonly server: string }) | undefined
  while (!ending && first === undefined) {
    void attempt().then(
      (opened) => {
        if (first === undefined) first = opened
        else opened.session.close()
      },
      () => undefined,
    )
    for (let waitedMs = 0; waitedMs < Number(values.retryMs) && first === undefined; waitedMs += 2) await pause(2)
  }
  if (first === undefined) return undefined
  recorder.add({ kind: 'connected', at: now(), host: first.host, epoch: first.epoch, server: first.server })
  return first
}

async function attempt(): Promise<Open & { readonly epoch: string; readonly server: string }> {
  const begun = now()
  const session = await openSession(target)
  try {
    const { rows } = await session.query(
      "select current_setting('rig.host', true), current_setting('handoff.epoch', true), inet_server_addr()",
      Math.max(1, target.limitMs - (now() - begun)),
    )
    const [host, epoch, server] = rows[0] ?? []
    return { session, host: host ?? '', epoch: epoch ?? '', server: server ?? '' }
  } catch (error) {
    session.close()
    throw error
  }
}

let id = 0
let connection: Open | undefined
let next = now()
while (!ending) {
  if (connection === undefined) {
    connection = await open()
    if (connection === undefined) break
    next = now()
  }
  id += 1
  const sent = now()
  try {
    const reply = await connection.session.query(
      `insert into w(writer, id) values (${writer}, ${id}) returning current_setting('handoff.epoch', true)`,
      Number(values.replyMs),
    )
    recorder.add({
      kind: 'acknowledged',
      at: now(),
      sent,
      id,
      host: connection.host,
      epoch: reply.rows[0]?.[0] ?? '',
      ...(reply.notice === undefined ? {} : { note: reply.notice }),
    })
  } catch (error) {
    recorder.add({ kind: 'dropped', at: now(), id, host: connection.host, reason: (error as Error).message })
    connection.session.close()
    connection = undefined
  }
  next += intervalMs
  const wait = next - now()
  if (wait > 0) await pause(wait)
  else next = now()
}
connection?.session.close()
recorder.close()
