import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { ImapSession } from './imap.ts'
import { LmtpSession } from './lmtp.ts'
import { type MailRecord, now, Recorder } from './records.ts'

/**
 * Delivers messages over LMTP in several sessions and watches the mailbox over IMAP. A message that got no answer is delivered
 * again until it is taken, as every mail server would: a second copy in the mailbox is then the server's fault.
 */
const { values } = parseArgs({
  options: {
    host: { type: 'string', default: '10.77.0.101' },
    lmtpPort: { type: 'string', default: '24' },
    imapPort: { type: 'string', default: '993' },
    user: { type: 'string', default: 'rig@rig.test' },
    password: { type: 'string', default: 'rig' },
    run: { type: 'string', default: 'r' },
    sessions: { type: 'string', default: '2' },
    intervalMs: { type: 'string', default: '20' },
    readMs: { type: 'string', default: '50' },
    connectMs: { type: 'string', default: '300' },
    replyMs: { type: 'string', default: '10000' },
    out: { type: 'string', default: '/dev/stdout' },
  },
})
const connectMs = Number(values.connectMs)
const replyMs = Number(values.replyMs)
const recorder = new Recorder<MailRecord>(values.out)
let ending = false
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    ending = true
  })
}

/** Gives an open session, trying until there is one; undefined when the program ends. */
async function persist<T>(open: () => Promise<T>): Promise<T | undefined> {
  while (!ending) {
    try {
      return await open()
    } catch {
      await pause(20)
    }
  }
  return undefined
}

async function deliverAll(session: number): Promise<void> {
  let lmtp: LmtpSession | undefined
  for (let number = 1; !ending; number++) {
    const messageId = `${values.run}-${session}-${number}@rig.test`
    const message = { from: 'sender@rig.test', to: values.user, messageId, text: `message ${number} of session ${session}\r\n${'x'.repeat(500)}` }
    for (let tries = 1, taken = false; !ending && !taken; tries++) {
      lmtp ??= await persist(() => LmtpSession.open({ host: values.host, port: Number(values.lmtpPort), tls: 'none', limitMs: connectMs }, connectMs))
      if (lmtp === undefined) return
      const sent = now()
      try {
        await lmtp.deliver(message)
        recorder.add({ kind: 'delivered', at: now(), sent, messageId, session, tries })
        taken = true
      } catch (error) {
        recorder.add({ kind: 'dropped', at: now(), protocol: 'lmtp', reason: (error as Error).message })
        lmtp.close()
        lmtp = undefined
      }
    }
    await pause(Number(values.intervalMs))
  }
  lmtp?.close()
}

async function watch(): Promise<void> {
  let imap: ImapSession | undefined
  let next = 1
  const account = { user: values.user, password: values.password }
  while (!ending) {
    // a login over TLS on a busy machine takes longer than a bare connection
    imap ??= await persist(() =>
      ImapSession.open({ host: values.host, port: Number(values.imapPort), tls: 'implicit', limitMs: 3 * connectMs }, account, replyMs),
    )
    if (imap === undefined) return
    const sent = now()
    try {
      for (const entry of await imap.entries(next)) {
        recorder.add({ kind: 'seen', at: now(), ...entry })
        next = Math.max(next, entry.uid + 1)
      }
      recorder.add({ kind: 'answered', at: now(), tookMs: now() - sent, command: 'UID FETCH' })
    } catch (error) {
      recorder.add({ kind: 'dropped', at: now(), protocol: 'imap', reason: (error as Error).message })
      imap.close()
      imap = undefined
    }
    await pause(Number(values.readMs))
  }
  imap?.close()
}

await Promise.all([watch(), ...Array.from({ length: Number(values.sessions) }, (_, index) => deliverAll(index + 1))])
recorder.close()
