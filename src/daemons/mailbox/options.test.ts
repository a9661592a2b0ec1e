import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readOptions } from './options.ts'

async function withFile<T>(text: string, read: (file: string) => T): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'options-'))
  try {
    const file = join(directory, 'mailbox.yaml')
    await writeFile(file, text)
    return read(file)
  } finally {
    await rm(directory, { recursive: true })
  }
}

test('a standalone file needs little', async () => {
  const options = await withFile(
    'dataDirectory: /d\ncontrolSocket: /s\nstandalone:\n  servers: [{name: mail, ports: {smtp: 0}}]\n  databases: [{name: mail}]\n',
    readOptions,
  )
  expect(options).toMatchObject({ workers: 2, standalone: { servers: [{ address: '127.0.0.1' }], databases: [{ port: 5432, epoch: 0 }] } })
})

test('every fault is named at once', async () => {
  const faults = withFile('dataDirectory: rel\ncontrolSocket: /s\nworkers: 0\nnosuch: 1\n', readOptions)
  await expect(faults).rejects.toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringMatching(/dataDirectory.*workers.*nosuch/s) })
})

test('neither or both of mounts and standalone is refused', async () => {
  await expect(withFile('dataDirectory: /d\ncontrolSocket: /s\n', readOptions)).rejects.toThrow('exactly one of mounts')
})
