import { createHash } from 'node:crypto'
import type { Place } from '../mailbox/filing.ts'
import type { MailStore } from '../mailbox/store.ts'
import { readHeader, fieldText } from '../message/header.ts'
import type { Mount } from '../mount/mount.ts'
import type { Queries } from '../mount/target.ts'
import type { NewMessage } from '../queue/queue.ts'
import { enqueueIn } from '../queue/queue-store.ts'
import type { Action, Outcome, Reject, Vacation } from '../sieve/actions.ts'
import { evaluateAsking, type Facts } from '../sieve/ask.ts'
import { rejectionNotice, vacationMessage } from './replies.ts'
import { CompiledScripts } from './scripts.ts'

export interface FilterLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

/** One message for one account with an active script. */
export interface Incoming {
  readonly accountId: string
  /** Name of the server that takes it. */
  readonly server: string
  /** Envelope: '' is the null path. */
  readonly from: string
  /** As the sender wrote it. */
  readonly to: string
  /** As it is to be stored. */
  readonly message: Buffer
  /** As it came: without Return-Path. */
  readonly content: Buffer
  readonly deliveryKey: string
  /** Can this recipient be refused in the session? Otherwise a refusal is a message to the sender. */
  readonly canRefuse: boolean
}

export type FilterOutcome =
  /** `queued`: something waits to be sent. */
  { readonly kind: 'delivered'; readonly queued: boolean } | { readonly kind: 'refused'; readonly reason: string } | { readonly kind: 'none' }

interface Owner {
  readonly script: string
  readonly address: string
  readonly addresses: readonly string[]
}

/** Filters mail by its recipients' scripts. What a script wants is done in one transaction, once for each delivery key. */
export class Filter {
  readonly #store: MailStore
  readonly #mount: Mount
  readonly #log: FilterLog
  readonly #compiled = new CompiledScripts()

  constructor(given: { readonly store: MailStore; readonly log: FilterLog }) {
    this.#store = given.store
    this.#mount = given.store.mount
    this.#log = given.log
  }

  /** `none`: there is no active script any more. */
  async deliver(incoming: Incoming): Promise<FilterOutcome> {
    const owner = await this.#owner(incoming.accountId)
    if (!owner) return { kind: 'none' }
    const outcome = await this.#evaluate(incoming, owner)
    const rejection = outcome.actions.find((action) => action.kind === 'reject')
    if (rejection && incoming.canRefuse && canBeSaid(rejection)) return { kind: 'refused', reason: rejection.reason }
    const messages = await this.#toSend(incoming, owner, outcome.actions, rejection)
    await this.#store.file(incoming.accountId, {
      raw: incoming.message,
      key: incoming.deliveryKey,
      places: outcome.actions.flatMap(placeOf),
      also: (db) => this.#remember(db, incoming, messages, outcome.actions),
    })
    return { kind: 'delivered', queued: messages.length > 0 }
  }

  async #owner(accountId: string): Promise<Owner | undefined> {
    const sql = `select s.content as script, a.address, array(select address from mail.alias where account_id = a.id) || a.address as addresses
      from mail.sieve_script s join mail.account a on a.id = s.account_id where s.account_id = $1 and s.active`
    return (await this.#mount.read((db) => db.query<Owner>(sql, [accountId], 'filter.owner'))).rows[0]
  }

  async #evaluate(incoming: Incoming, owner: Owner): Promise<Outcome> {
    const { accountId } = incoming
    const facts: Facts = {
      mailboxExists: (name) => this.#exists('select from mail.mailbox where account_id = $1 and name = $2', accountId, canonicalName(name)),
      mailboxesWith: async (use) => {
        const sql = 'select name from mail.mailbox where account_id = $1 and lower(special_use) = lower($2) order by name'
        return (await this.#mount.read((db) => db.query<{ name: string }>(sql, [accountId, use]))).rows.map(({ name }) => name)
      },
      isDuplicate: (key) => this.#exists('select from mail.sieve_seen where account_id = $1 and hash = $2 and expires_at > now()', accountId, hashOf(key)),
    }
    const now = new Date()
    const environment = {
      now: { epochSeconds: now.getTime() / 1000, zoneMinutes: -now.getTimezoneOffset() },
      ownAddresses: owner.addresses,
      item: (name: string) => environmentItem(name, incoming.server),
    }
    const outcome = await evaluateAsking(
      this.#compiled.get(owner.script),
      { bytes: incoming.content, envelope: { from: incoming.from, to: incoming.to } },
      { ...facts, ...environment },
    )
    const log = { account: owner.address, deliveryKey: incoming.deliveryKey }
    if (outcome.fault !== undefined) this.#log.warn({ ...log, fault: outcome.fault }, 'sieve: the script failed, the message is kept')
    for (const why of outcome.withheld) this.#log.info({ ...log, why }, 'sieve: withheld')
    return loops(incoming, owner, outcome) ? { ...outcome, actions: [{ kind: 'keep', flags: [] }] } : outcome
  }

  async #exists(sql: string, ...values: readonly unknown[]): Promise<boolean> {
    return (await this.#mount.read((db) => db.query(sql, values))).rowCount > 0
  }

  async #toSend(incoming: Incoming, owner: Owner, actions: readonly Action[], rejection: Reject | undefined): Promise<readonly ToSend[]> {
    const key = `filter ${incoming.accountId} ${incoming.deliveryKey}`
    const at = { server: incoming.server, now: new Date() }
    const found: ToSend[] = []
    for (const action of actions) {
      if (action.kind === 'redirect') found.push({ message: redirected(incoming, owner, action.address, `${key} redirect ${action.address}`) })
      if (action.kind === 'vacation')
        found.push({
          message: { key: `${key} vacation`, returnPath: '', recipients: [{ address: action.to, notify: [] }], content: await vacationMessage(action, at) },
          vacation: action,
        })
    }
    if (rejection && incoming.from !== '')
      found.push({
        message: {
          key: `${key} reject`,
          returnPath: '',
          recipients: [{ address: incoming.from, notify: [] }],
          content: await rejectionNotice(rejection, { ...incoming, ...at }),
        },
      })
    return found
  }

  async #remember(db: Queries, { accountId }: Incoming, messages: readonly ToSend[], actions: readonly Action[]): Promise<void> {
    for (const { message, vacation } of messages) if (!vacation || (await isDue(db, accountId, vacation))) await enqueueIn(db, message)
    for (const action of actions)
      if (action.kind === 'track')
        await db.query(
          `insert into mail.sieve_seen (account_id, hash, expires_at) values ($1, $2, now() + make_interval(secs => $3))
           on conflict (account_id, hash) do update set expires_at = excluded.expires_at`,
          [accountId, hashOf(action.key), action.seconds],
        )
  }
}

/** RFC 5429 §2.2: `reject` keeps the words as they are, and a reply in the session has only ASCII. `ereject` would rather lose them. */
const canBeSaid = ({ form, reason }: Reject): boolean => form === 'ereject' || /^[\t\r\n -~]*$/.test(reason)

interface ToSend {
  readonly message: NewMessage
  /** Sent only when it is due. */
  readonly vacation?: Vacation
}

/** RFC 5230 §4.1: once to each sender in a period; whoever asks first takes it. */
async function isDue(db: Queries, accountId: string, { to, key, seconds }: Vacation): Promise<boolean> {
  const { rowCount } = await db.query(
    `insert into mail.vacation_reply as r (account_id, recipient, hash, expires_at) values ($1, $2, $3, now() + make_interval(secs => $4))
     on conflict (account_id, recipient, hash) do update set expires_at = excluded.expires_at where r.expires_at <= now()`,
    [accountId, to.toLowerCase(), hashOf(key), seconds],
  )
  return rowCount > 0
}

function placeOf(action: Action): readonly Place[] {
  if (action.kind === 'keep') return [{ mailbox: 'INBOX', flags: action.flags, create: false }]
  if (action.kind !== 'fileInto') return []
  const name = canonicalName(action.mailbox)
  return [{ mailbox: name, flags: action.flags, create: action.create && isName(name), specialUse: action.specialUse }]
}

/** RFC 5228 §4.2: a redirected message carries its way, and whoever sees his own name on it keeps it. */
const wayMark = 'Delivered-To'

function redirected(incoming: Incoming, owner: Owner, to: string, key: string): NewMessage {
  const content = Buffer.concat([Buffer.from(`${wayMark}: ${owner.address}\r\n`), incoming.content])
  return { key, returnPath: incoming.from, recipients: [{ address: to }], content }
}

function loops(incoming: Incoming, owner: Owner, outcome: Outcome): boolean {
  if (!outcome.actions.some(({ kind }) => kind === 'redirect')) return false
  const { content } = incoming
  const marks = readHeader(content, 0, content.length).fields.filter((field) => field.name === wayMark.toLowerCase())
  return marks.some((field) => fieldText(content, field).trim().toLowerCase() === owner.address)
}

/** As the mail store has it: INBOX in any case, composed characters (RFC 9051 §5.1), no separator at the end. */
function canonicalName(name: string): string {
  const plain = name.normalize('NFC').replace(/\/+$/, '')
  return /^inbox(?=\/|$)/i.test(plain) ? `INBOX${plain.slice(5)}` : plain
}

/** What a person can have meant as the name of a new mailbox. */
const isName = (name: string): boolean => name.length <= 1000 && !/[*%\x00-\x1f\x7f-\x9f\u2028\u2029]/.test(name) && !name.split('/').includes('')

/** RFC 5183 §4.1. */
function environmentItem(name: string, host: string): string | undefined {
  const items: Readonly<Record<string, string>> = { name: 'Handoff', location: 'MDA', phase: 'during', host }
  return Object.hasOwn(items, name) ? items[name] : undefined
}

const hashOf = (key: string): Buffer => createHash('sha256').update(key).digest()
