import { notification, type Told, wantsNotification } from './notification.ts'
import type { Claim, DueRecipient, NewMessage, Outcome } from './queue.ts'
import { beginEnding, claim, contentOf, nextDueMs, type Settlement, settle, takeBack } from './queue-store.ts'
import { afterFailure } from './retry.ts'
import { type Hop, type Resolver, route } from './route.ts'
import { attempt, AttemptLost, type AttemptOptions } from './smtp-attempt.ts'
import type { Mount } from '../mount/mount.ts'

export interface SenderOptions {
  readonly mount: Mount
  /** Name of the server: in EHLO and notifications, and known as its own among MX hosts. */
  readonly server: string
  readonly resolver: Resolver
  readonly attempts: Pick<AttemptOptions, 'port' | 'ca' | 'connectTimeoutMs' | 'replyTimeoutMs'>
  /** A recipient whose domain is here is delivered to without SMTP: notifications above all. Null: it is elsewhere. */
  readonly local: (recipient: {
    readonly address: string
    readonly key: string
    readonly returnPath: string
    readonly content: Buffer
  }) => Promise<Pick<Outcome, 'state' | 'reply'> | null>
  readonly log: SenderLog
  readonly now?: () => Date
  readonly random?: () => number
}

export interface SenderLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

const perDomainMax = 5
const inAllMax = 50
/** Another process may have queued something without a word to this one. */
const lookEveryMs = 5000

/** Sends what is due in one database, while this node serves it. */
export class Sender {
  private readonly options: SenderOptions
  private readonly inFlight = new Map<Claim, Promise<void>>()
  private timer: NodeJS.Timeout | undefined
  private ended = false
  private tookBack = false
  private looking = false
  private lookAgain = false

  constructor(options: SenderOptions) {
    this.options = options
  }

  start(): void {
    this.poke()
  }

  /** Something may be due. */
  poke(): void {
    if (this.looking) {
      this.lookAgain = true
      return
    }
    if (this.ended) return
    this.looking = true
    void this.look()
      .catch((err: unknown) => {
        this.options.log.warn({ err }, 'queue: cannot be read now, trying on')
        return lookEveryMs
      })
      .then((waitMs) => {
        this.looking = false
        if (this.ended) return
        clearTimeout(this.timer)
        this.timer = setTimeout(() => this.poke(), this.lookAgain ? 0 : waitMs)
        this.lookAgain = false
      })
  }

  /** Begins nothing more, and resolves when what is under way is over. */
  async stop(): Promise<void> {
    this.ended = true
    clearTimeout(this.timer)
    await Promise.allSettled([...this.inFlight.values()])
  }

  /** @returns ms until the next look */
  private async look(): Promise<number> {
    const { mount, log } = this.options
    if (!this.tookBack) {
      const count = await takeBack(mount, { except: [...this.inFlight.keys()].map(({ attempt }) => attempt) })
      this.tookBack = true
      if (count > 0) log.info({ recipients: count }, 'queue: attempts that nobody makes any more are made again')
    }
    const free = inAllMax - this.inFlight.size
    const busy = this.busyDomains()
    const claims = free > 0 ? await claim(mount, { max: Math.min(free, perDomainMax), busy }) : []
    for (const each of claims) this.begin(each)
    if (claims.length > 0) return 0
    const dueMs = await nextDueMs(mount, busy)
    // What is due and not claimed waits for an attempt to end, which pokes.
    return dueMs === null || dueMs <= 0 ? lookEveryMs : Math.min(lookEveryMs, dueMs)
  }

  private begin(claimed: Claim): void {
    const work = this.send(claimed)
      .catch((err: unknown) => {
        this.options.log.warn({ queueId: claimed.id, domain: claimed.domain, err }, 'queue: attempt ended without an outcome')
        this.tookBack = false
      })
      .then(() => {
        this.inFlight.delete(claimed)
        this.poke()
      })
    this.inFlight.set(claimed, work)
  }

  private busyDomains(): readonly string[] {
    const counts = new Map<string, number>()
    for (const { domain } of this.inFlight.keys()) counts.set(domain, (counts.get(domain) ?? 0) + 1)
    return [...counts].filter(([, count]) => count >= perDomainMax).map(([domain]) => domain)
  }

  private async send(claimed: Claim): Promise<void> {
    const content = await contentOf(this.options.mount, claimed.id)
    if (content === null) return
    try {
      const here = await this.deliverHere(claimed, content)
      const rest = claimed.recipients.filter(({ number }) => !here.some((outcome) => outcome.number === number))
      const outcomes = [...here, ...(rest.length === 0 ? [] : await this.deliverThere({ ...claimed, recipients: rest }, content))]
      await this.settle(claimed, content, outcomes)
    } catch (error) {
      if (!(error instanceof AttemptLost)) throw error
    }
  }

  private async deliverHere(claimed: Claim, content: Buffer): Promise<readonly Outcome[]> {
    const outcomes: Outcome[] = []
    for (const { number, address } of claimed.recipients) {
      const key = `outbound ${claimed.id} ${number}`
      try {
        const fate = await this.options.local({ address, key, returnPath: claimed.returnPath, content })
        if (fate !== null) outcomes.push({ number, ...fate, host: null })
      } catch (failure) {
        outcomes.push({ number, state: 'deferred', reply: `cannot be stored here now: ${(failure as Error).message}`, host: null })
      }
    }
    return outcomes
  }

  private async deliverThere(claimed: Claim, content: Buffer): Promise<readonly Outcome[]> {
    const { resolver, server, mount, attempts } = this.options
    const found = await route(claimed.domain, { resolver, own: new Set([server.toLowerCase()]), random: this.options.random ?? Math.random })
    if (found.kind === 'none')
      return claimed.recipients.map(({ number }) => ({
        number,
        state: found.permanent ? 'failed' : 'deferred',
        reply: `${found.enhanced} ${found.text}`,
        host: null,
      }))
    const hops: readonly Hop[] = found.hops
    const outcomes: Outcome[] = []
    for (const recipients of byParameters(claimed.recipients)) {
      const transaction = {
        claim: claimed,
        recipients,
        content,
        beginEnding: (numbers: readonly number[]) => beginEnding(mount, { attempt: claimed.attempt, id: claimed.id, numbers }),
      }
      outcomes.push(...(await attempt(hops, transaction, { ...attempts, name: server })))
    }
    return outcomes
  }

  private async settle(claimed: Claim, content: Buffer, outcomes: readonly Outcome[]): Promise<void> {
    const { mount, log, random = Math.random } = this.options
    const recipients = new Map(claimed.recipients.map((recipient) => [recipient.number, recipient]))
    const failed: Told[] = []
    const delayed: Told[] = []
    const settlements = outcomes.map((outcome): Settlement => {
      const recipient = recipients.get(outcome.number) as DueRecipient
      log.info({ queueId: claimed.id, to: recipient.address, state: outcome.state, reply: outcome.reply, host: outcome.host }, 'queue: attempt')
      if (outcome.state === 'delivered') return { ...outcome, waitMs: null, delayTold: false }
      const later = afterFailure({ ...recipient, queuedForMs: claimed.queuedForMs, random: random() })
      if (outcome.state === 'failed' || later.waitMs === null) {
        failed.push({ recipient, outcome })
        return { ...outcome, state: 'failed', waitMs: null, delayTold: false }
      }
      if (later.tellDelay) delayed.push({ recipient, outcome })
      return { ...outcome, waitMs: later.waitMs, delayTold: later.tellDelay }
    })
    const notifications = [this.told(claimed, 'failed', failed, content), this.told(claimed, 'delayed', delayed, content)].flat()
    if (!(await settle(mount, { claim: claimed, settlements, notifications })))
      log.warn({ queueId: claimed.id }, 'queue: another sender has taken over the message')
  }

  private told(claimed: Claim, action: 'failed' | 'delayed', all: readonly Told[], content: Buffer): readonly NewMessage[] {
    const told = all.filter(({ recipient }) => wantsNotification(claimed, recipient, action))
    const { server, now = () => new Date() } = this.options
    return told.length === 0 ? [] : [notification(claimed, action, told, { server, now: now(), content })]
  }
}

/** nodemailer says one set of DSN parameters for all recipients of a transaction. */
function byParameters(recipients: readonly DueRecipient[]): readonly (readonly DueRecipient[])[] {
  const groups = new Map<string, DueRecipient[]>()
  for (const recipient of recipients) {
    const key = JSON.stringify([recipient.notify, recipient.orcpt])
    const group = groups.get(key)
    if (group) group.push(recipient)
    else groups.set(key, [recipient])
  }
  return [...groups.values()]
}
