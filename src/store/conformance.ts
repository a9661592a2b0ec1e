import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { HandoffError } from '../errors.ts'
import { type Entry, type Store, type Transaction, transactionOperationsMax, type Watch, type WatchEvent } from './store.ts'

/** What an implementation must bring so that the suite can put it to the test. */
export interface StoreHarness {
  /** A client of its own. */
  open(): Store
  /** All of the store dies at once (SIGKILL), and comes back. */
  readonly outage: { begin(): Promise<void>; end(): Promise<void> }
  /** Makes the store forget the history of everything up to now. */
  compact(client: Store): Promise<void>
  /** Faults through which the store must stay exact; each runs while clients work, and has healed when it settles. */
  readonly disturbances: Readonly<Record<string, (progress: () => Promise<void>) => Promise<void>>>
  stop(): Promise<void>
}

/** The one suite that every implementation of the store passes. */
export function storeConformance(name: string, start: () => Promise<StoreHarness>, disturbances: readonly string[]): void {
  describe(`store: ${name}`, () => {
    let harness: StoreHarness
    let prefix: string
    let clients: Store[] = []
    const open = (): Store => {
      const client = harness.open()
      clients.push(client)
      return client
    }
    beforeAll(async () => {
      harness = await start()
      await eventually(async () => expect(await open().read('/')).toBeTruthy(), 20_000)
    }, 60_000)
    afterAll(async () => harness?.stop(), 60_000)
    afterEach(async () => {
      await Promise.all(clients.map((client) => client.close()))
      clients = []
      prefix = ''
    })
    const key = (rest: string): string => (prefix ||= `/conformance/${randomUUID()}/`) + rest

    test('a written key is read with its revisions, a deleted one is absent', async () => {
      const store = open()
      const first = await store.transact(put(key('a'), '1', 0n))
      const second = await store.transact({ compare: [{ key: key('a'), modRevision: first.revision }], put: [{ key: key('a'), value: '2' }], delete: [] })
      expect(first.ok && second.ok && second.revision > first.revision).toBe(true)
      expect(await store.get(key('a'))).toEqual({ key: key('a'), value: '2', modRevision: second.revision, createRevision: first.revision })
      const third = await store.transact({ compare: [], put: [], delete: [key('a')] })
      expect(third.ok && third.revision > second.revision).toBe(true)
      expect(await store.get(key('a'))).toBe(null)
      expect((await store.read(key(''))).entries).toEqual([])
    })

    test('a transaction whose compare does not hold changes nothing', async () => {
      const store = open()
      const first = await store.transact(put(key('a'), '1', 0n))
      const refused = await store.transact({
        compare: [
          { key: key('a'), modRevision: first.revision },
          { key: key('guard'), modRevision: 7n },
        ],
        put: [
          { key: key('a'), value: '2' },
          { key: key('b'), value: '2' },
        ],
        delete: [],
      })
      expect(refused.ok).toBe(false)
      expect((await store.transact(put(key('a'), '2', 0n))).ok).toBe(false)
      expect((await store.read(key(''))).entries.map((entry) => entry.value)).toEqual(['1'])
    })

    test('a transaction that is too large, or writes a key twice, is refused', async () => {
      const store = open()
      const many = Array.from({ length: transactionOperationsMax + 1 }, (_, index) => ({ key: key(String(index)), value: '1' }))
      await expect(store.transact({ compare: [], put: many, delete: [] })).rejects.toMatchObject({ code: 'STORE_REFUSED' })
      await expect(store.transact({ compare: [], put: [many[0]!, many[0]!], delete: [] })).rejects.toMatchObject({ code: 'STORE_REFUSED' })
      expect((await store.transact({ compare: [], put: many.slice(1), delete: [] })).ok).toBe(true)
      expect((await store.read(key(''))).entries).toHaveLength(transactionOperationsMax)
    })

    test('of many concurrent compare-and-swaps exactly one wins', async () => {
      const stores = Array.from({ length: 6 }, open)
      for (let round = 0; round < 10; round += 1) {
        const expected = (await stores[0]!.get(key('owner')))?.modRevision ?? 0n
        const results = await Promise.all(stores.map((store, index) => store.transact(put(key('owner'), JSON.stringify({ round, index }), expected))))
        expect(results.filter((result) => result.ok)).toHaveLength(1)
        const winner = results.findIndex((result) => result.ok)
        const entry = await stores[(round + 1) % 6]!.get(key('owner'))
        expect(entry).toMatchObject({ value: JSON.stringify({ round, index: winner }), modRevision: results[winner]!.revision })
      }
    })

    test('a prefix read shows whole transactions only', async () => {
      const [writer, reader] = [open(), open()]
      let writing = true
      const write = (async () => {
        for (let index = 0; index < 100; index += 1)
          await writer.transact({ compare: [], put: ['a', 'b', 'c'].map((name) => ({ key: key(name), value: String(index) })), delete: [] })
        writing = false
      })()
      let last = -1
      while (writing) {
        const values = (await reader.read(key(''))).entries.map((entry) => Number(entry.value))
        expect(new Set(values).size).toBeLessThanOrEqual(1)
        expect(values[0] ?? -1).toBeGreaterThanOrEqual(last)
        last = values[0] ?? -1
      }
      await write
    })

    test('a read is not older than a change acknowledged to another client', async () => {
      const [writer, reader] = [open(), open()]
      for (let index = 0; index < 30; index += 1) {
        const { revision } = await writer.transact({ compare: [], put: [{ key: key('a'), value: String(index) }], delete: [] })
        const seen = await reader.read(key(''))
        expect(seen.entries[0]?.value).toBe(String(index))
        expect(seen.revision).toBeGreaterThanOrEqual(revision)
      }
    })

    test('a watch tells every change once, in order, and only those under its prefix', async () => {
      const [writer, watcher] = [open(), open()]
      const start = await watcher.read(key(''))
      const image = follow(watcher, key('in/'), start.revision + 1n)
      for (let index = 0; index < 100; index += 1) {
        await writer.transact({
          compare: [],
          put: [
            { key: key('in/a'), value: String(index) },
            { key: key('in/b'), value: String(index) },
          ],
          delete: [],
        })
        if (index % 10 === 0) await writer.transact({ compare: [], put: [{ key: key('out'), value: '0' }], delete: [] })
      }
      await writer.transact({ compare: [], put: [], delete: [key('in/a')] })
      await eventually(async () => expect(image.content()).toEqual({ [key('in/b')]: '99' }))
      expect(image.changes).toHaveLength(101)
      expect(image.changes.slice(0, 100).map((change) => change.puts.map((entry) => entry.value))).toEqual(
        Array.from({ length: 100 }, (_, index) => [String(index), String(index)]),
      )
      expect(image.changes[100]?.deletes).toEqual([{ key: key('in/a'), modRevision: image.changes[100]!.revision }])
      expect(image.resets).toBe(0)
      image.close()
    })

    test('a watch from a past revision begins with the changes since', async () => {
      const store = open()
      const first = await store.transact(put(key('a'), '1', 0n))
      await store.transact({ compare: [], put: [{ key: key('a'), value: '2' }], delete: [] })
      await store.transact({ compare: [], put: [{ key: key('a'), value: '3' }], delete: [] })
      const image = follow(store, key(''), first.revision)
      await eventually(async () => expect(image.changes.map((change) => change.puts[0]?.value)).toEqual(['1', '2', '3']))
      expect(image.changes[0]?.puts[0]).toMatchObject({ createRevision: first.revision, modRevision: first.revision })
      image.close()
    })

    test('a watch from nothing begins with the whole content', async () => {
      const store = open()
      await store.transact(put(key('a'), '1', 0n))
      const image = follow(store, key(''), 0n)
      await eventually(async () => expect(image.content()).toEqual({ [key('a')]: '1' }))
      await store.transact(put(key('b'), '2', 0n))
      await eventually(async () => expect(image.content()).toEqual({ [key('a')]: '1', [key('b')]: '2' }))
      expect([image.resets, image.changes.length]).toEqual([1, 1])
      image.close()
    })

    test('a watch whose place was compacted away is given the whole content, then the changes', async () => {
      const store = open()
      const first = await store.transact({
        compare: [],
        put: [
          { key: key('a'), value: '1' },
          { key: key('gone'), value: '1' },
        ],
        delete: [],
      })
      await store.transact({ compare: [], put: [{ key: key('a'), value: '2' }], delete: [key('gone')] })
      await harness.compact(store)
      const image = follow(store, key(''), first.revision)
      await eventually(async () => expect(image.content()).toEqual({ [key('a')]: '2' }))
      await store.transact(put(key('b'), '3', 0n))
      await eventually(async () => expect(image.content()).toEqual({ [key('a')]: '2', [key('b')]: '3' }))
      expect([image.resets, image.changes.length]).toEqual([1, 1])
      image.close()
    })

    test('a watch tells that the store is there while nothing changes', async () => {
      const image = follow(open(), key(''), 0n)
      await eventually(async () => expect(image.contacts()).toBeGreaterThan(3))
      image.close()
    })

    test('a closed watch tells nothing more', async () => {
      const store = open()
      const image = follow(store, key(''), 0n)
      const other = follow(store, key(''), 0n)
      await eventually(async () => expect(image.resets).toBe(1))
      image.close()
      await store.transact(put(key('a'), '1', 0n))
      await eventually(async () => expect(other.changes).toHaveLength(1))
      expect(image.changes).toHaveLength(0)
      other.close()
    })

    test('keys die with their lease when it is not renewed', async () => {
      const [store, other] = [open(), open()]
      const lease = await store.grant(1000)
      await store.transact({
        compare: [],
        put: [
          { key: key('session'), value: '1', lease: lease.id },
          { key: key('other'), value: '1' },
        ],
        delete: [],
      })
      expect(await other.get(key('session'))).toMatchObject({ lease: lease.id })
      const image = follow(other, key(''), 0n)
      await eventually(async () => expect(image.content()).toEqual({ [key('other')]: '1' }), lease.ttlMs + 5000)
      expect(await store.keepAlive(lease.id)).toBe(null)
      await expect(store.transact({ compare: [], put: [{ key: key('late'), value: '1', lease: lease.id }], delete: [] })).rejects.toMatchObject({
        code: 'STORE_LEASE_EXPIRED',
      })
      image.close()
    })

    test('a renewed lease keeps its keys', async () => {
      const store = open()
      const lease = await store.grant(1000)
      await store.transact({ compare: [], put: [{ key: key('session'), value: '1', lease: lease.id }], delete: [] })
      const until = Date.now() + lease.ttlMs * 2
      await eventually(async () => {
        expect((await store.keepAlive(lease.id))?.ttlMs).toBe(lease.ttlMs)
        expect(Date.now()).toBeGreaterThan(until)
      }, lease.ttlMs * 4)
      expect(await store.get(key('session'))).not.toBe(null)
      await store.revoke(lease.id)
      expect(await store.get(key('session'))).toBe(null)
      await store.revoke(lease.id)
    })

    test('with all of the store gone every call fails in time and says that nothing was done; back, everything goes on', async () => {
      const [store, writer] = [open(), open()]
      const lease = await store.grant(3000)
      await writer.transact({
        compare: [],
        put: [
          { key: key('a'), value: '0' },
          { key: key('session'), value: '1', lease: lease.id },
        ],
        delete: [],
      })
      const image = follow(store, key('a'), (await store.read(key(''))).revision + 1n)
      await harness.outage.begin()
      // The first calls may still meet a dying server.
      await store.get(key('a')).catch(() => {})
      const calls = [
        () => store.get(key('a')),
        () => store.read(key('')),
        () => store.transact(put(key('b'), '1', 0n)),
        () => store.keepAlive(lease.id),
        () => store.grant(2000),
      ]
      const begun = performance.now()
      await Promise.all(calls.map((call) => expect(call()).rejects.toMatchObject({ code: 'STORE_UNREACHABLE' })))
      expect(performance.now() - begun).toBeLessThan(1500)
      await harness.outage.end()
      await eventually(async () => expect((await writer.read(key(''))).entries.map((entry) => entry.key)).toEqual([key('a'), key('session')]), 15_000)
      await eventually(async () => expect(await store.keepAlive(lease.id)).not.toBe(null), 15_000)
      for (let index = 1; index <= 5; index += 1)
        await persist(() => writer.transact({ compare: [], put: [{ key: key('a'), value: String(index) }], delete: [] }))
      await eventually(async () => expect(image.content()).toEqual({ [key('a')]: '5' }), 10_000)
      if (image.resets === 0) expect([...new Set(image.changes.map((change) => change.puts[0]?.value))]).toEqual(['1', '2', '3', '4', '5'])
      image.close()
    })

    for (const disturbance of disturbances) {
      test(`counters lose and double nothing, and a watch misses nothing, while: ${disturbance}`, async () => {
        const workers = await Promise.all(Array.from({ length: 3 }, async (_, index) => countUp(open(), key('counter'), `client${index}`)))
        const image = follow(open(), key('counter'), 0n)
        const progress = async (): Promise<void> => {
          // Of all together: in lockstep one of them may lose every race.
          const done = (): number => workers.reduce((sum, worker) => sum + worker.done(), 0)
          const mark = done()
          await eventually(async () => expect(done()).toBeGreaterThan(mark + 10), 30_000)
        }
        await progress()
        await harness.disturbances[disturbance]!(progress)
        await progress()
        const totals = await Promise.all(workers.map((worker) => worker.stop()))
        const store = open()
        await eventually(async () => {
          const counter = JSON.parse((await store.get(key('counter')))!.value) as Counter
          expect(counter.count).toBe(totals.reduce((sum, total) => sum + total, 0))
        }, 10_000)
        const final = (await store.get(key('counter')))!
        await eventually(async () => expect(image.content()).toEqual({ [key('counter')]: final.value }), 10_000)
        // The count grows by one from change to change: a gap or a repetition would show.
        const counts = image.changes.map((change) => (JSON.parse(change.puts[0]!.value) as Counter).count)
        if (image.resets === 1) expect(counts).toEqual(counts.map((_, index) => counts[0]! + index))
        image.close()
      }, 120_000)
    }
  })
}

const put = (key: string, value: string, modRevision: bigint): Transaction => ({ compare: [{ key, modRevision }], put: [{ key, value }], delete: [] })

interface Counter {
  readonly count: number
  readonly last: Readonly<Record<string, { readonly step: number; readonly attempt: string }>>
}

/** A client that counts up by compare-and-swap until it is stopped, and checks every answer that it got against what came to be. */
async function countUp(store: Store, key: string, name: string): Promise<{ done(): number; stop(): Promise<number> }> {
  let step = 0
  let stopping = false
  let failure: unknown = null
  const refused = new Set<string>()
  const work = (async () => {
    while (!stopping) {
      await countOnce(store, key, { name, step: step + 1, refused })
      step += 1
    }
  })()
  work.catch((error: unknown) => (failure = error))
  return {
    done() {
      if (failure !== null) throw failure
      return step
    },
    async stop() {
      stopping = true
      await work
      return step
    },
  }
}

async function countOnce(store: Store, key: string, options: { readonly name: string; readonly step: number; readonly refused: Set<string> }): Promise<void> {
  for (;;) {
    const entry = await persist(() => store.get(key))
    const counter: Counter = entry === null ? { count: 0, last: {} } : (JSON.parse(entry.value) as Counter)
    const last = counter.last[options.name]
    expect(options.refused.has(last?.attempt ?? ''), 'a change that was said to be refused has been made').toBe(false)
    if (last?.step === options.step) return
    expect(last?.step ?? 0, 'a change that was acknowledged is lost').toBe(options.step - 1)
    const attempt = randomUUID()
    const next: Counter = { count: counter.count + 1, last: { ...counter.last, [options.name]: { step: options.step, attempt } } }
    try {
      const result = await store.transact(put(key, JSON.stringify(next), entry?.modRevision ?? 0n))
      if (result.ok) return
      options.refused.add(attempt)
    } catch (failure) {
      if (!(failure instanceof HandoffError)) throw failure
      if (failure.code === 'STORE_UNREACHABLE') options.refused.add(attempt)
      else expect(failure.code).toBe('STORE_OUTCOME_UNKNOWN')
    }
  }
}

/** Again and again through an outage; only failures of the store are forgiven. */
async function persist<T>(call: () => Promise<T>): Promise<T> {
  const until = Date.now() + 30_000
  for (;;) {
    try {
      return await call()
    } catch (failure) {
      const storeIsAway = failure instanceof HandoffError && (failure.code === 'STORE_UNREACHABLE' || failure.code === 'STORE_OUTCOME_UNKNOWN')
      if (!storeIsAway || Date.now() > until) throw failure
    }
  }
}

interface Image {
  readonly changes: Extract<WatchEvent, { kind: 'change' }>[]
  readonly resets: number
  contacts(): number
  content(): Record<string, string>
  close(): void
}

/** Rebuilds the content from what a watch tells. */
function follow(store: Store, prefix: string, from: bigint): Image {
  const content = new Map<string, string>()
  const changes: Extract<WatchEvent, { kind: 'change' }>[] = []
  let last = 0n
  let contacts = 0
  let resets = 0
  const set = (entry: Entry): unknown => content.set(entry.key, entry.value)
  const watch: Watch = store.watch(prefix, from, (event) => {
    switch (event.kind) {
      case 'contact':
        contacts += 1
        return
      case 'reset':
        resets += 1
        content.clear()
        event.entries.forEach(set)
        last = event.revision
        return
      case 'change':
        expect(event.revision, 'changes come in order').toBeGreaterThan(last)
        last = event.revision
        changes.push(event)
        for (const gone of event.deletes) content.delete(gone.key)
        event.puts.forEach(set)
        return
    }
  })
  return {
    changes,
    get resets() {
      return resets
    },
    contacts: () => contacts,
    content: () => Object.fromEntries([...content].sort(([left], [right]) => (left < right ? -1 : 1))),
    close: () => watch.close(),
  }
}

/** Waits until the check passes. */
export async function eventually(check: () => Promise<void>, timeoutMs = 5000): Promise<void> {
  const until = Date.now() + timeoutMs
  for (;;) {
    try {
      await check()
      return
    } catch (failure) {
      if (Date.now() > until) throw failure
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}
