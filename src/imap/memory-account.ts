import { matches } from './memory-search.ts'
import type { AccountMail, FlagState, MailboxEntry, MessageContent } from '../mailbox/account-mail.ts'

/** For tests of the protocol that need no database: an account in memory, with the same promises but those of durability. */

interface Message extends FlagState {
  readonly bytes: Buffer
  readonly internalDate: Date
}

interface Box {
  entry: MailboxEntry
  readonly uidValidity: number
  uidNext: number
  modseq: number
  recentFrom: number
  messages: Message[]
  readonly vanished: { readonly uid: number; readonly modseq: number }[]
  readonly watchers: Set<() => void>
}

export interface MemoryAccount extends AccountMail {
  /** While set, every call waits: a database that is being handed over. */
  hold(): () => void
}

export function memoryAccount(parse: (bytes: Buffer) => MessageContent['root']): MemoryAccount {
  const boxes = new Map<string, Box>()
  let ids = 0
  let gate: Promise<void> = Promise.resolve()

  const make = (name: string, specialUse?: string) => {
    const id = String(++ids)
    boxes.set(id, {
      entry: { id, name, subscribed: true, specialUse, exists: true, objectId: `B${id}` },
      uidValidity: 1000 + ids,
      uidNext: 1,
      modseq: 1,
      recentFrom: 1,
      messages: [],
      vanished: [],
      watchers: new Set(),
    })
    return id
  }
  make('INBOX')
  make('Sent', '\\Sent')

  const box = async (id: string) => {
    await gate
    return boxes.get(id) as Box
  }
  const changed = (each: Box) => {
    for (const watcher of each.watchers) watcher()
  }
  const add = (to: Box, message: Pick<Message, 'bytes' | 'flags' | 'internalDate'>) => {
    const uid = to.uidNext++
    to.messages.push({ ...message, uid, modseq: ++to.modseq })
    changed(to)
    return uid
  }
  const remove = (from: Box, uids: ReadonlySet<number>) => {
    const modseq = ++from.modseq
    for (const { uid } of from.messages) if (uids.has(uid)) from.vanished.push({ uid, modseq })
    from.messages = from.messages.filter(({ uid }) => !uids.has(uid))
    changed(from)
  }
  const copy = async (fromId: string, uids: readonly number[], toId: string) => {
    const [from, to] = [await box(fromId), await box(toId)]
    const pairs = from.messages.filter((message) => uids.includes(message.uid)).map((message) => [message.uid, add(to, message)] as const)
    return { uidValidity: to.uidValidity, pairs }
  }

  return {
    accountId: '1',
    hold() {
      const { promise, resolve } = defer()
      gate = promise
      return resolve
    },
    mailboxes: async () => [...boxes.values()].map(({ entry }) => entry),
    create: async (name) => ({ mailboxId: make(name) }),
    remove: async ({ id }) => void boxes.delete(id),
    rename: async ({ id }, to) => {
      for (const each of boxes.values()) {
        const { name } = (boxes.get(id) as Box).entry
        if (each.entry.id !== id && each.entry.name.startsWith(`${name}/`)) each.entry = { ...each.entry, name: to + each.entry.name.slice(name.length) }
      }
      const renamed = boxes.get(id) as Box
      renamed.entry = { ...renamed.entry, name: to }
    },
    setSubscribed: async (name, subscribed) => {
      for (const each of boxes.values()) if (each.entry.name === name) each.entry = { ...each.entry, subscribed }
    },
    status: async (ids) =>
      new Map(
        ids.map((id) => {
          const { messages, uidNext, uidValidity, modseq } = boxes.get(id) as Box
          const without = (flag: string) => messages.filter(({ flags }) => !flags.includes(flag)).length
          const sizeBytes = messages.reduce((sum, { bytes }) => sum + bytes.length, 0)
          return [
            id,
            {
              messages: messages.length,
              recent: 0,
              unseen: without('\\Seen'),
              deleted: messages.length - without('\\Deleted'),
              sizeBytes,
              uidNext,
              uidValidity,
              highestModseq: modseq,
            },
          ]
        }),
      ),
    open: async (id) => {
      const { messages, uidNext, uidValidity, modseq } = await box(id)
      return { messages: [...messages], uidNext, uidValidity, highestModseq: modseq }
    },
    changesSince: async (id, since) => {
      const { messages, vanished, uidNext, modseq } = await box(id)
      return {
        highestModseq: modseq,
        uidNext,
        changed: messages.filter((m) => m.modseq > since),
        vanished: vanished.filter((m) => m.modseq > since).map(({ uid }) => uid),
      }
    },
    claimRecent: async (id) => {
      const each = await box(id)
      const from = each.recentFrom
      each.recentFrom = each.uidNext
      return from
    },
    messages: async (id, uids) =>
      (await box(id)).messages
        .filter(({ uid }) => uids.includes(uid))
        .map((m) => ({ ...m, sizeBytes: m.bytes.length, emailId: `M${m.uid}`, threadId: `T${m.uid}` })),
    structures: async (id, uids) => new Map((await box(id)).messages.filter(({ uid }) => uids.includes(uid)).map((m) => [m.uid, parse(m.bytes)])),
    search: async (id, test) =>
      (await box(id)).messages.filter((m) => matches(test, { ...m, sizeBytes: m.bytes.length }, { bytes: m.bytes, root: parse(m.bytes) })),
    content: async (id, uid) => {
      const found = (await box(id)).messages.find((m) => m.uid === uid)
      return found && { bytes: found.bytes, root: parse(found.bytes) }
    },
    append: async (id, { bytes, flags, internalDate }) => {
      const to = await box(id)
      return { uidValidity: to.uidValidity, uid: add(to, { bytes, flags, internalDate: internalDate ?? new Date() }) }
    },
    storeFlags: async (id, uids, { mode, flags, unchangedSince }) => {
      const each = await box(id)
      const updated: FlagState[] = []
      const unchangedSinceFailed: number[] = []
      const modseq = each.modseq + 1
      each.messages = each.messages.map((message) => {
        if (!uids.includes(message.uid)) return message
        if (unchangedSince !== undefined && message.modseq > unchangedSince) {
          unchangedSinceFailed.push(message.uid)
          return message
        }
        const next =
          mode === 'replace' ? flags : mode === 'add' ? [...new Set([...message.flags, ...flags])] : message.flags.filter((flag) => !flags.includes(flag))
        const state = { ...message, flags: next, modseq }
        updated.push(state)
        each.modseq = modseq
        return state
      })
      changed(each)
      return { updated, unchangedSinceFailed }
    },
    expunge: async (id, uids) => {
      const each = await box(id)
      const gone = each.messages.filter((m) => uids.includes(m.uid) && m.flags.includes('\\Deleted')).map(({ uid }) => uid)
      if (gone.length > 0) remove(each, new Set(gone))
    },
    copy,
    move: async (fromId, uids, toId) => {
      const result = await copy(fromId, uids, toId)
      remove(await box(fromId), new Set(result.pairs.map(([uid]) => uid)))
      return result
    },
    watch: (id, listener) => {
      const watchers = boxes.get(id)?.watchers
      watchers?.add(listener)
      return () => watchers?.delete(listener)
    },
  }
}

function defer(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = () => {}
  const promise = new Promise<void>((done) => {
    resolve = done
  })
  return { promise, resolve }
}
