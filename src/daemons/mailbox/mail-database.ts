import type { Directory } from '../../directory/directory.ts'
import { createDirectory } from '../../directory/accounts.ts'
import { HandoffError } from '../../errors.ts'
import { Filter, type FilterLog, type Incoming } from '../../filter/filter.ts'
import type { AccountMail } from '../../mailbox/account-mail.ts'
import { createMailStore } from '../../mailbox/mail-store.ts'
import type { MailboxChange, MailStore } from '../../mailbox/store.ts'
import { createMount, type Mount } from '../../mount/mount.ts'
import type { DatabaseMount } from '../../mount/mounts.ts'
import type { NewMessage } from '../../queue/queue.ts'
import { enqueue } from '../../queue/queue-store.ts'
import type { DeliveryOutcome } from '../../smtp/delivery.ts'

/** One mounted mailbox database as a process of the mailbox service uses it. */
export interface MailDatabase {
  readonly name: string
  readonly mount: Mount
  readonly directory: Directory
  update(mount: DatabaseMount): void
  /** Waits while the database is held. */
  migrate(): Promise<void>
  findRecipient(address: string): Promise<{ readonly accountId: string; readonly filtered: boolean } | undefined>
  findPostmaster(): Promise<{ readonly accountId: string; readonly address: string } | undefined>
  hasDomain(domain: string): Promise<boolean>
  authenticate(username: string, password: string): Promise<{ readonly accountId: string; readonly address: string } | undefined>
  /** Exactly once for each key and recipient. One outcome for each account, in order. */
  deliver(request: { readonly deliveryKey: string; readonly message: Buffer; readonly accountIds: readonly string[] }): Promise<readonly DeliveryOutcome[]>
  /** Does with a message what the recipient's script says. */
  filter(incoming: Incoming): Promise<DeliveryOutcome>
  /** Takes a message over, to be sent to other servers: once for each key. */
  enqueue(message: NewMessage): Promise<void>
  /** The mail of one account, for IMAP. */
  account(accountId: string): AccountMail
  /** A change that another process committed. */
  hear(change: unknown): void
  /** Forgets what is no longer needed; one process suffices. */
  sweep(): Promise<void>
  close(): Promise<void>
}

/** What a process tells the others when it has queued something: one of them sends. */
export const queued = { kind: 'queued' } as const
export const isQueued = (change: unknown): boolean => (change as { readonly kind?: unknown } | null)?.kind === queued.kind

/** Costs nothing while no session watches a mailbox, otherwise one small read. */
const pollEveryMs = 1000

export interface MailDatabaseOptions {
  readonly poolSize: number
  readonly holdMsMax: number
  /** Completes a login name without "@". */
  readonly loginDomain?: string | undefined
  readonly log: FilterLog
  /** Told of every change this process commits. */
  readonly publish?: (change: unknown) => void
}

export function openMailDatabase(first: DatabaseMount, options: MailDatabaseOptions): MailDatabase {
  const mount = createMount({ name: first.name, poolSize: options.poolSize, waitMsMax: options.holdMsMax })
  const store = createMailStore(mount)
  const directory = createDirectory(mount)
  const filter = new Filter({ store, log: options.log })
  if (options.publish) store.onChange(options.publish)
  let polling = false
  // What another node's service commits, or a worker that died before it could tell, is found by looking.
  const poll = (): void => {
    if (polling) return
    polling = true
    store
      .poll()
      .catch(() => undefined)
      .finally(() => {
        polling = false
      })
  }
  const pollTimer = setInterval(poll, pollEveryMs)
  pollTimer.unref()
  const update = ({ name, host, port, user, password, epoch, held }: DatabaseMount) => {
    mount.target({ host, port, user, password, database: name, epoch, held })
    if (!held) poll()
  }
  update(first)
  return {
    name: first.name,
    mount,
    directory,
    update,
    migrate: () => store.migrate(),
    findRecipient: (address) => directory.resolveRecipient(address),
    authenticate: (username, password) => directory.authenticate(loginAddress(username, options.loginDomain), password),
    findPostmaster: () => directory.findPostmaster(),
    hasDomain: (domain) => directory.hasDomain(domain),
    deliver: (request) => deliver(store, request),
    async filter(incoming) {
      const outcome = await filter.deliver(incoming)
      if (outcome.kind === 'refused') return outcome
      const { deliveryKey, message, accountId } = incoming
      // The script was switched off a moment ago.
      if (outcome.kind === 'none') return (await deliver(store, { deliveryKey, message, accountIds: [accountId] }))[0] ?? { kind: 'delivered' }
      if (outcome.queued) options.publish?.(queued)
      return { kind: 'delivered' }
    },
    async enqueue(message) {
      await enqueue(mount, message)
      options.publish?.(queued)
    },
    account: (accountId) => store.account(accountId),
    hear: (change) => store.hear(change as MailboxChange),
    sweep: () => store.sweep(),
    close: () => {
      clearInterval(pollTimer)
      return mount.close()
    },
  }
}

/** All recipients in one transaction; only when one of them cannot be served each for itself, which gives nobody a second copy: the key is the same. */
async function deliver(store: MailStore, request: Parameters<MailDatabase['deliver']>[0]): Promise<readonly DeliveryOutcome[]> {
  const { accountIds } = request
  const give = (recipients: readonly string[]) => store.deliver({ recipients, raw: request.message, deliveryKey: request.deliveryKey, receivedAt: new Date() })
  try {
    await give([...new Set(accountIds)])
    return accountIds.map(() => ({ kind: 'delivered' }))
  } catch (error) {
    const isOnesFault = error instanceof HandoffError && (error.code === 'MAILBOX_UNKNOWN' || error.code === 'ACCOUNT_UNKNOWN')
    if (!isOnesFault || accountIds.length === 1) return accountIds.map(() => ({ kind: 'failed', error }))
  }
  return Promise.all(
    accountIds.map((accountId) =>
      give([accountId]).then(
        (): DeliveryOutcome => ({ kind: 'delivered' }),
        (error: unknown): DeliveryOutcome => ({ kind: 'failed', error }),
      ),
    ),
  )
}

function loginAddress(username: string, domain: string | undefined): string {
  return domain === undefined || username.includes('@') ? username : `${username}@${domain}`
}
