import { existsSync } from 'node:fs'
import pg from 'pg'
import { expect, test } from 'vitest'
import { startThrowaway, withPostgres } from './fixture.ts'

test('a throwaway instance gives each test a clone of the prepared template and leaves nothing behind', async () => {
  const postgres = await startThrowaway({
    databases: ['extra'],
    prepareTemplate: async (address) => {
      const client = new pg.Client(address)
      await client.connect()
      await client.query('create table seen (n int)')
      await client.end()
    },
  })
  try {
    const first = await postgres.database()
    const second = await postgres.database()
    expect(first.database).not.toBe(second.database)
    const client = new pg.Client(first)
    await client.connect()
    expect((await client.query('select count(*)::int as n from seen')).rows).toEqual([{ n: 0 }])
    await client.end()
  } finally {
    await postgres.stop()
  }
  expect(existsSync(postgres.socketDirectory)).toBe(false)
  expect(existsSync(`/proc/${postgres.pid}`)).toBe(false)
})

test('withPostgres stops the instance when the test fails', async () => {
  let pid = 0
  await expect(
    withPostgres(async (postgres) => {
      pid = postgres.pid
      throw new Error('failed on purpose')
    }),
  ).rejects.toThrow('failed on purpose')
  expect(existsSync(`/proc/${pid}`)).toBe(false)
})
