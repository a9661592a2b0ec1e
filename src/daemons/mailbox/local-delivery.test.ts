import { expect, test } from 'vitest'
import { firstFound } from './local-delivery.ts'

test('a held database delays only what may be in it', async () => {
  const never = new Promise<undefined>(() => {})
  const ask = (database: string) => (database === 'held' ? never : Promise.resolve(database === 'b' ? 'found' : undefined))
  expect(await firstFound(['held', 'a', 'b'], ask)).toBe('found')
})

test('nobody knows only when all have said so; a failure is no answer', async () => {
  expect(await firstFound(['a', 'b'], async () => undefined)).toBeUndefined()
  expect(await firstFound([], async () => undefined)).toBeUndefined()
  await expect(
    firstFound(['a', 'b'], async (d) => {
      if (d === 'a') throw new Error('down')
      return undefined
    }),
  ).rejects.toThrow('down')
})
