import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { ImapSession } from './imap.ts'

/** Writes every UID and Message-ID of INBOX as JSON. */
const { values } = parseArgs({
  options: {
    host: { type: 'string', default: '10.77.0.101' },
    imapPort: { type: 'string', default: '993' },
    user: { type: 'string', default: 'rig@rig.test' },
    password: { type: 'string', default: 'rig' },
    out: { type: 'string', default: '/dev/stdout' },
  },
})
const target = { host: values.host, port: Number(values.imapPort), tls: 'implicit', limitMs: 5000 } as const
const session = await ImapSession.open(target, { user: values.user, password: values.password }, 60_000)
writeFileSync(values.out, JSON.stringify(await session.entries(1)))
session.close()
