import { ImapFlow } from 'imapflow'
import { demoAddress, demoPorts } from './nodes.ts'

export const demoUser = { address: 'ada@handoff.example', password: 'difference-engine' }

/** Reads every Message-ID of the demo's mailbox by IMAP. */
export async function readMessageIds(): Promise<string[]> {
  const client = new ImapFlow({
    host: demoAddress,
    port: demoPorts.imap,
    secure: false,
    doSTARTTLS: true,
    tls: { rejectUnauthorized: false },
    auth: { user: demoUser.address, pass: demoUser.password },
    logger: false,
  })
  await client.connect()
  try {
    await client.mailboxOpen('INBOX', { readOnly: true })
    const ids: string[] = []
    for await (const message of client.fetch('1:*', { envelope: true })) ids.push(message.envelope?.messageId ?? '')
    return ids
  } finally {
    await client.logout()
  }
}
