import pg from 'pg'

/** The messages in an account's INBOX, in order of arrival, read from the database itself and not through what is tested. */
export async function storedMessages(database: pg.ClientConfig, address: string): Promise<Buffer[]> {
  const client = new pg.Client(database)
  await client.connect()
  try {
    const { rows } = await client.query<{ message: Buffer }>('select message from delivered d join account a on a.id = d.account where a.address = $1', [
      address,
    ])
    return rows.map((row) => row.message)
  } finally {
    await client.end()
  }
}
