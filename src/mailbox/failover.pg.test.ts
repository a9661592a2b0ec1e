import { afterEach, expect, test } from 'vitest'
import { createDirectory } from '../directory/accounts.ts'
import { createMount, type Mount } from '../mount/mount.ts'
import { until } from '../postgres/fixture.ts'
import { type Copy, handoffPassword, makeCopies, makePair } from '../postgres/pair.ts'
import { createMailStore } from './mail-store.ts'

const ends: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

const place = (copy: Copy, epoch: number, held = false) => ({ ...copy.upstream, user: 'handoff', password: handoffPassword, database: 'postgres', epoch, held })

/** Deliveries and IMAP's changes, as fast as they go; keeps what was acknowledged. */
async function load(mount: Mount) {
  const store = createMailStore(mount)
  await store.migrate()
  const { accountId } = await createDirectory(mount).createAccount({ address: 'ann@example.org', password: 'x' })
  const ann = store.account(accountId)
  const [inbox, sent] = ['INBOX', 'Sent'].map((name) => ann.mailboxes().then((all) => all.find((each) => each.name === name)?.id as string))
  const [inboxId, sentId] = [await inbox, await sent] as [string, string]
  const delivered = new Map<number, number>()
  const appended: number[] = []
  let n = 0
  let stopped = false
  const raw = (i: number) => Buffer.from(`Subject: ${i}\r\n\r\n${i}\r\n`)
  const deliverer = async () => {
    while (!stopped) {
      const i = n++
      const [message] = await store.deliver({ recipients: [accountId], raw: raw(i), deliveryKey: `key ${i}`, receivedAt: new Date() })
      delivered.set(message?.uid as number, i)
    }
  }
  const appender = async () => {
    while (!stopped) {
      const { uid } = await ann.append(sentId as string, { bytes: raw(n++), flags: ['\\Seen'], internalDate: undefined })
      appended.push(uid)
      await ann.storeFlags(sentId as string, [uid], { mode: 'add', flags: ['$Told'], unchangedSince: undefined })
    }
  }
  const done = Promise.all([deliverer(), deliverer(), deliverer(), deliverer(), appender()])
  return {
    count: () => delivered.size + appended.length,
    async check() {
      stopped = true
      await done
      // Every UID that was told holds the message it was told for; none is missing, none is there twice.
      const there = await ann.open(inboxId as string)
      expect(there.messages.map(({ uid }) => uid)).toEqual([...delivered.keys()].sort((a, b) => a - b))
      expect(there.uidNext).toBe(delivered.size + 1)
      const structures = await ann.structures(inboxId as string, [...delivered.keys()])
      for (const [uid, i] of delivered) expect(structures.get(uid)?.envelope.subject).toBe(String(i))
      const inSent = await ann.open(sentId as string)
      expect(inSent.messages.map(({ uid }) => uid)).toEqual(appended.sort((a, b) => a - b))
      expect(inSent.messages.every(({ flags }) => flags.includes('$Told'))).toBe(true)
    },
  }
}

async function pair(): Promise<{ readonly a: Copy; readonly b: Copy; readonly mount: Mount }> {
  const { copies, remove } = await makeCopies(['a', 'b'], { fsync: 'off' })
  ends.push(remove)
  const [a, b] = copies as [Copy, Copy]
  await makePair(a, b)
  const mount = createMount({ name: 'mail' })
  ends.push(() => mount.close())
  mount.target(place(a, 1))
  return { a, b, mount }
}

test('a crash of the active copy under deliveries and IMAP: nothing acknowledged is lost, nothing is there twice, UIDs stay', async () => {
  const { a, b, mount } = await pair()
  const running = await load(mount)
  await until(() => running.count() > 200)
  await a.instance.stop({ mode: 'kill' })
  await b.instance.promote({ epoch: 2 })
  mount.target(place(b, 2))
  const before = running.count()
  await until(() => running.count() > before + 100)
  await running.check()
})

test('a former active copy that still runs after its place was taken takes no write of the new epoch, and nothing hangs on it', async () => {
  const { a, b, mount } = await pair()
  const running = await load(mount)
  await until(() => running.count() > 100)
  // Its log goes nowhere any more: what it commits now, nobody is told.
  await b.instance.promote({ epoch: 2 })
  const stuck = running.count()
  mount.target(place(b, 2))
  await until(() => running.count() > stuck + 100)
  await running.check()
  // One who has the new epoch and the old place.
  const astray = createMount({ name: 'astray' })
  ends.push(() => astray.close())
  astray.target(place(a, 2))
  await expect(astray.write('x', async () => 1, { waitMsMax: 300 })).rejects.toThrow('epoch "1", wanted 2')
})

test('a planned handoff under deliveries and IMAP: commands are held and answered by the next active copy', async () => {
  const { a, b, mount } = await pair()
  const running = await load(mount)
  await until(() => running.count() > 200)
  mount.target(place(a, 1, true))
  await a.instance.quiesce({ target: b.node, timeoutMs: 2000 })
  await b.instance.promote({ epoch: 2 })
  mount.target(place(b, 2))
  const before = running.count()
  await until(() => running.count() > before + 100)
  await running.check()
})
