import { isIPv4, isIPv6 } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { MountsMessage } from '../../mount/mounts.ts'
import type { Resolver as MailResolver } from '../../queue/route.ts'
import { Sender, type SenderOptions } from '../../queue/sender.ts'
import type { LocalDelivery } from '../../smtp/delivery.ts'
import type { MailDatabase } from './mail-database.ts'
import type { MailboxServiceOptions } from './options.ts'
import { resolverOf } from './verifying.ts'

const closeGraceMs = 2000

interface Given {
  readonly options: MailboxServiceOptions['outbound']
  readonly nameServers: MailboxServiceOptions['nameServers']
  readonly log: Logger
  readonly database: (name: string) => MailDatabase | undefined
  readonly deliveryFor: (server: string) => LocalDelivery
}

/** The senders of one worker: one for each database of each server that is served on this node now. */
export class Sending {
  readonly #given: Given
  readonly #senders = new Map<string, { readonly server: string; readonly database: MailDatabase; readonly sender: Sender }>()

  constructor(given: Given) {
    this.#given = given
  }

  setMounts({ servers }: MountsMessage): void {
    const wanted = new Map(servers.filter(({ serving }) => serving).flatMap(({ name, databases }) => databases.map((database) => [database, name] as const)))
    for (const [name, { server, database, sender }] of this.#senders) {
      if (wanted.get(name) === server && this.#given.database(name) === database) continue
      this.#senders.delete(name)
      // What is under way goes on; when it is cut, the next owner's sender takes it back.
      void sender.stop()
    }
    for (const [name, server] of wanted) {
      const database = this.#given.database(name)
      if (!database || this.#senders.has(name)) continue
      const sender = new Sender(this.#optionsOf(server, database))
      this.#senders.set(name, { server, database, sender })
      sender.start()
    }
  }

  /** Something was queued in this database. */
  poke(database: string): void {
    this.#senders.get(database)?.sender.poke()
  }

  /** An attempt that is cut off is made again by the next sender. */
  async close(): Promise<void> {
    const stopped = Promise.all([...this.#senders.values()].map(({ sender }) => sender.stop()))
    await Promise.race([stopped, setTimeout(closeGraceMs, undefined, { ref: false })])
  }

  #optionsOf(server: string, database: MailDatabase): SenderOptions {
    const { options, nameServers, log, deliveryFor } = this.#given
    const { relay, connectTimeoutMs, replyTimeoutMs } = options
    const delivery = deliveryFor(server)
    return {
      mount: database.mount,
      server,
      resolver: relay === undefined ? resolverOf(nameServers) : relayed(relay.host, resolverOf(nameServers)),
      attempts: { port: relay?.port ?? 25, connectTimeoutMs, replyTimeoutMs },
      local: (message) => deliverHere(delivery, message),
      log,
    }
  }
}

/** Sends every domain to one host. */
function relayed(host: string, resolver: MailResolver): MailResolver {
  const ofFamily = (isOne: boolean, isOther: boolean, ask: () => Promise<readonly string[]>) =>
    isOne ? Promise.resolve([host]) : isOther ? Promise.resolve([]) : ask()
  return {
    resolveMx: () => Promise.resolve([{ exchange: host, priority: 0 }]),
    resolve4: () => ofFamily(isIPv4(host), isIPv6(host), () => resolver.resolve4(host)),
    resolve6: () => ofFamily(isIPv6(host), isIPv4(host), () => resolver.resolve6(host)),
  }
}

async function deliverHere(delivery: LocalDelivery, message: Parameters<SenderOptions['local']>[0]): ReturnType<SenderOptions['local']> {
  const { address, key, returnPath, content } = message
  const domain = address.slice(address.lastIndexOf('@') + 1)
  const recipient = await delivery.findRecipient(address)
  if (!recipient) return (await delivery.isLocalDomain(domain)) ? { state: 'failed', reply: '550 5.1.1 no such mailbox here' } : null
  const mail = { body: '8BITMIME', smtpUtf8: false, requireTls: false } as const
  const [outcome] = await delivery.deliver({
    deliveryKey: key,
    from: returnPath,
    message: content,
    recipients: [recipient],
    mail,
    recipientParameters: [{}],
    repliesForEach: true,
  })
  if (outcome?.kind === 'failed') throw outcome.error
  if (outcome?.kind === 'refused') return { state: 'failed', reply: `550 5.7.1 ${outcome.reason.replace(/\s+/g, ' ').slice(0, 300)}` }
  return { state: 'delivered', reply: '250 2.1.5 stored' }
}
