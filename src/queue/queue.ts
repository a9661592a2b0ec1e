/** Mail on its way to other servers. docs/design/outbound-queue.md */

export type Notify = 'SUCCESS' | 'FAILURE' | 'DELAY'

export interface NewRecipient {
  readonly address: string
  /** RFC 3461; undefined: the default; []: NEVER. */
  readonly notify?: readonly Notify[] | undefined
  /** `type;address`, decoded. */
  readonly orcpt?: string | undefined
}

export interface NewMessage {
  /** The same whenever the same message is given: it is queued once. */
  readonly key: string
  /** '' is the null return path. */
  readonly returnPath: string
  readonly content: Buffer
  readonly recipients: readonly NewRecipient[]
  /** RFC 3461 §4.4, decoded. */
  readonly envid?: string | undefined
  readonly ret?: 'FULL' | 'HDRS' | undefined
  readonly requireTls?: boolean | undefined
}

/** One recipient as an attempt sees it. */
export interface DueRecipient {
  readonly number: number
  readonly address: string
  readonly notify: readonly Notify[] | null
  readonly orcpt: string | null
  /** This one included. */
  readonly attempts: number
  readonly delayTold: boolean
}

/** The recipients of one message in one domain, owned by one attempt. */
export interface Claim {
  readonly attempt: string
  readonly id: number
  readonly domain: string
  readonly returnPath: string
  readonly envid: string | null
  readonly ret: 'FULL' | 'HDRS' | null
  readonly requireTls: boolean
  readonly queuedForMs: number
  readonly recipients: readonly DueRecipient[]
}

/** What a recipient's attempt came to. `reply`: three digits, enhanced code and text, or what stood in its way. */
export interface Outcome {
  readonly number: number
  readonly state: 'delivered' | 'deferred' | 'failed'
  readonly reply: string
  /** Who said so: name and address. */
  readonly host: string | null
}

export type RecipientState = 'waiting' | 'trying' | 'ending' | 'held' | 'delivered' | 'failed'

/** What an operator may do with a message. */
export type QueueChange = 'hold' | 'release' | 'retry' | 'remove'

/** For people. */
export interface QueueEntry {
  readonly id: number
  readonly number: number
  readonly returnPath: string
  readonly address: string
  readonly state: RecipientState
  readonly attempts: number
  readonly queuedAt: string
  readonly nextAt: string | null
  readonly reply: string | null
  readonly host: string | null
  readonly sizeBytes: number
}
