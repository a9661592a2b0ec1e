import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { EmbeddedStore } from './client.ts'
import { compileStore } from './process-fixture.ts'
import { EmbeddedServer } from './server.ts'

describe('durability of the embedded store', () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'handoff-store-'))
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  const logFile = (): string => join(directory, readdirSync(directory).find((name) => name.endsWith('.log'))!)
  const withStore = async <T>(work: (store: EmbeddedStore) => Promise<T>, options: { readonly logBytesMax?: number } = {}): Promise<T> => {
    const server = await EmbeddedServer.open({ dataDirectory: directory, listen: '127.0.0.1:0', ...options })
    const store = new EmbeddedStore({ endpoint: server.endpoint })
    try {
      return await work(store)
    } finally {
      await store.close()
      await server.close()
    }
  }
  const put = (store: EmbeddedStore, key: string, value: string) => store.transact({ compare: [], put: [{ key, value }], delete: [] })

  test('killed in the middle of writes, every acknowledged one is there when it is opened again', async () => {
    const compiled = await compileStore()
    try {
      const acknowledged = new Map<string, string>()
      for (let round = 0; round < 3; round += 1) {
        const server = await compiled.start({ data: directory, listen: '127.0.0.1:0' })
        const store = new EmbeddedStore({ endpoint: server.endpoint })
        const { entries } = await store.read('/')
        const present = new Map(entries.map((entry) => [entry.key, entry.value]))
        for (const [key, value] of acknowledged) expect(present.get(key)).toBe(value)
        let count = 0
        const writers = Array.from({ length: 8 }, async (_, writer) => {
          for (let index = 0; ; index += 1) {
            const [key, value] = [`/${round}/${writer}/${index}`, 'x'.repeat(index % 3000)]
            await put(store, key, value)
            acknowledged.set(key, value)
            count += 1
            if (count === 400) server.child.kill('SIGKILL')
          }
        })
        expect((await Promise.allSettled(writers)).every((result) => result.status === 'rejected')).toBe(true)
        await server.kill()
        await store.close()
      }
      expect(acknowledged.size).toBeGreaterThanOrEqual(1200)
    } finally {
      compiled.remove()
    }
  })

  test('nothing is acknowledged, read or told before it is on disk', async () => {
    let release: () => void = () => {}
    let reached: () => void = () => {}
    const atDisk = new Promise<void>((resolve) => (reached = resolve))
    const disk = new Promise<void>((resolve) => (release = resolve))
    const sync = async (): Promise<void> => {
      reached()
      await disk
    }
    const server = await EmbeddedServer.open({ dataDirectory: directory, listen: '127.0.0.1:0', sync })
    const store = new EmbeddedStore({ endpoint: server.endpoint, timeoutMs: 10_000 })
    const seen: string[] = []
    const watch = store.watch('/', 1n, (event) => event.kind === 'change' && seen.push('told'))
    await store.read('/')
    const writing = put(store, '/a', '1').then(() => seen.push('acknowledged'))
    await atDisk
    const reading = store.get('/a').then((entry) => seen.push(`read ${entry?.value}`))
    // A request on another connection has been to the server and back: what was to be sent early would be here.
    const other = new EmbeddedStore({ endpoint: server.endpoint, timeoutMs: 300 })
    await expect(other.get('/a')).rejects.toMatchObject({ code: 'STORE_UNREACHABLE' })
    expect(seen).toEqual([])
    release()
    await Promise.all([writing, reading])
    expect(seen.sort()).toEqual(['acknowledged', 'read 1', 'told'])
    watch.close()
    await Promise.all([store.close(), other.close()])
    await server.close()
  })

  test('when the disk fails nothing is acknowledged and the store stops', async () => {
    const sync = (): Promise<void> => Promise.reject(new Error('input/output error'))
    const server = await EmbeddedServer.open({ dataDirectory: directory, listen: '127.0.0.1:0', sync })
    const store = new EmbeddedStore({ endpoint: server.endpoint })
    await expect(put(store, '/a', '1')).rejects.toMatchObject({ code: 'STORE_OUTCOME_UNKNOWN' })
    expect((await server.failed).message).toBe('input/output error')
    await expect(put(store, '/a', '1')).rejects.toMatchObject({ code: 'STORE_UNREACHABLE' })
    await store.close()
    await server.close()
  })

  test('a torn tail is cut off, whatever its length, and writing goes on after it', async () => {
    await withStore(async (store) => {
      for (const key of ['/a', '/b', '/c']) await put(store, key, 'value of ' + key)
    })
    const whole = readFileSync(logFile())
    const lastLine = whole.lastIndexOf(10, whole.length - 2) + 1
    for (const length of [lastLine + 1, lastLine + 9, lastLine + 20, whole.length - 1]) {
      writeFileSync(logFile(), whole)
      truncateSync(logFile(), length)
      await withStore(async (store) => {
        const { revision, entries } = await store.read('/')
        expect([revision, entries.map((entry) => entry.key)]).toEqual([2n, ['/a', '/b']])
        expect((await put(store, '/d', '1')).revision).toBe(3n)
      })
      await withStore(async (store) => expect((await store.read('/')).entries.map((entry) => entry.key)).toEqual(['/a', '/b', '/d']))
    }
  })

  test('a tail of zeros, as a crash of the machine leaves, is cut off', async () => {
    await withStore((store) => put(store, '/a', '1'))
    const { size } = statSync(logFile())
    appendFileSync(logFile(), Buffer.alloc(4096))
    await withStore(async (store) => expect((await store.read('/')).entries).toHaveLength(1))
    expect(statSync(logFile()).size).toBe(size)
  })

  test('damage before the end is refused, and the file is left as it is', async () => {
    await withStore(async (store) => {
      for (const key of ['/a', '/b', '/c']) await put(store, key, '1')
    })
    const bytes = readFileSync(logFile())
    bytes[20]! ^= 1
    writeFileSync(logFile(), bytes)
    await expect(EmbeddedServer.open({ dataDirectory: directory, listen: '127.0.0.1:0' })).rejects.toMatchObject({ code: 'STORE_DAMAGED' })
    expect(readFileSync(logFile()).equals(bytes)).toBe(true)
  })

  test('compaction keeps content, revisions and leases, and bounds the file', async () => {
    const before = await withStore(
      async (store) => {
        const lease = await store.grant(60_000)
        await store.transact({ compare: [], put: [{ key: '/session', value: '1', lease: lease.id }], delete: [] })
        for (let index = 0; index < 500; index += 1) await put(store, `/key${index % 7}`, 'x'.repeat(200))
        return { lease, ...(await store.read('/')) }
      },
      { logBytesMax: 10_000 },
    )
    expect(statSync(logFile()).size).toBeLessThan(20_000)
    await withStore(async (store) => {
      expect(await store.read('/')).toEqual({ revision: before.revision, entries: before.entries })
      await store.revoke(before.lease.id)
      expect(await store.get('/session')).toBe(null)
    })
  })

  test('a directory is open in one process only', async () => {
    await withStore(async () => {
      await expect(EmbeddedServer.open({ dataDirectory: directory, listen: '127.0.0.1:0' })).rejects.toMatchObject({ code: 'STORE_DIRECTORY_IN_USE' })
    })
  })

  test('an address that is taken is named, and the directory is given back', async () => {
    await withStore(async () => {
      const other = mkdtempSync(join(tmpdir(), 'handoff-store-'))
      try {
        const first = await EmbeddedServer.open({ dataDirectory: other, listen: '127.0.0.1:0' })
        await first.close()
        const holder = await EmbeddedServer.open({ dataDirectory: other, listen: '127.0.0.1:0' })
        await expect(EmbeddedServer.open({ dataDirectory: join(other, 'second'), listen: holder.endpoint })).rejects.toMatchObject({
          code: 'STORE_ADDRESS_IN_USE',
        })
        await holder.close()
        await (await EmbeddedServer.open({ dataDirectory: join(other, 'second'), listen: holder.endpoint })).close()
      } finally {
        rmSync(other, { recursive: true })
      }
    })
  })

  test('a Unix socket left by a killed server is taken over', async () => {
    const path = join(directory, 'socket')
    writeFileSync(path, '')
    const server = await EmbeddedServer.open({ dataDirectory: join(directory, 'data'), listen: path })
    const store = new EmbeddedStore({ endpoint: path })
    expect((await put(store, '/a', '1')).ok).toBe(true)
    await store.close()
    await server.close()
  })
})
