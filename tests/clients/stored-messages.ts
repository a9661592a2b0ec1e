import pg from 'pg'

/** The messages in an account's INBOX, in order of arrival, read from the database itself and not through what is tested. */
export async function storedMessages(database: pg.ClientConfig, address: string): Promise<Buffer[]> {
  const client = new pg.Client(database)
  await client.connect()
  try {
    const sql = `select body.content from mail.message join mail.body on body.id = message.body_id
      join mail.mailbox on mailbox.id = message.mailbox_id join mail.account on account.id = mailbox.account_id
      where account.address = $1 and mailbox.name = 'INBOX' order by message.uid`
    const { rows } = await client.query<{ content: Buffer }>(sql, [address])
    return rows.map((row) => row.content)
  } finally {
    await client.end()
  }
}
