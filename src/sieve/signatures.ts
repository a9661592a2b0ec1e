import type { Capability } from './capabilities.ts'

/** What a command or test takes. One table for commands, one for tests: they share no name space (RFC 5228 §2.9). */
export interface Signature {
  /** One of them must be enabled. */
  readonly capabilities?: readonly Capability[]
  readonly tags?: Readonly<Record<string, TagSignature>>
  /** In their order, after the tags. */
  readonly values?: readonly ValueKind[]
  /** May stand before the others; it is there when there is one value more. */
  readonly optionalFirst?: { readonly kind: ValueKind; readonly capability?: Capability }
  readonly tests?: 'one' | 'list'
  readonly block?: true
}

export type ValueKind = 'number' | 'string' | 'strings'

export interface TagSignature {
  readonly capability?: Capability
  /** What follows the tag. */
  readonly value?: ValueKind
  /** Only one tag of a group may be given. */
  readonly group?: string
}

const comparator = { comparator: { value: 'string' } } as const satisfies Record<string, TagSignature>

const match = {
  ...comparator,
  is: { group: 'match type' },
  contains: { group: 'match type' },
  matches: { group: 'match type' },
  regex: { group: 'match type', capability: 'regex' },
  count: { group: 'match type', capability: 'relational', value: 'string' },
  value: { group: 'match type', capability: 'relational', value: 'string' },
} as const satisfies Record<string, TagSignature>

const addressPart = {
  all: { group: 'address part' },
  localpart: { group: 'address part' },
  domain: { group: 'address part' },
  user: { group: 'address part', capability: 'subaddress' },
  detail: { group: 'address part', capability: 'subaddress' },
} as const satisfies Record<string, TagSignature>

const index = {
  index: { capability: 'index', value: 'number' },
  last: { capability: 'index' },
} as const satisfies Record<string, TagSignature>

const flags = { flags: { capability: 'imap4flags', value: 'strings' } } as const satisfies Record<string, TagSignature>

const flagCommand: Signature = { capabilities: ['imap4flags'], optionalFirst: { kind: 'string', capability: 'variables' }, values: ['strings'] }

export const commandSignatures: Readonly<Record<string, Signature>> = {
  require: { values: ['strings'] },
  if: { tests: 'one', block: true },
  elsif: { tests: 'one', block: true },
  else: { block: true },
  stop: {},
  discard: {},
  keep: { tags: flags },
  fileinto: {
    capabilities: ['fileinto'],
    tags: {
      ...flags,
      copy: { capability: 'copy' },
      create: { capability: 'mailbox' },
      specialuse: { capability: 'special-use', value: 'string' },
    },
    values: ['string'],
  },
  redirect: { tags: { copy: { capability: 'copy' } }, values: ['string'] },
  reject: { capabilities: ['reject'], values: ['string'] },
  ereject: { capabilities: ['ereject'], values: ['string'] },
  setflag: flagCommand,
  addflag: flagCommand,
  removeflag: flagCommand,
  set: {
    capabilities: ['variables'],
    tags: {
      lower: { group: 'modifier of precedence 40' },
      upper: { group: 'modifier of precedence 40' },
      lowerfirst: { group: 'modifier of precedence 30' },
      upperfirst: { group: 'modifier of precedence 30' },
      quotewildcard: { group: 'modifier of precedence 20' },
      quoteregex: { group: 'modifier of precedence 20', capability: 'regex' },
      length: { group: 'modifier of precedence 10' },
    },
    values: ['string', 'string'],
  },
  vacation: {
    // RFC 6131 §2: "vacation-seconds" implies "vacation".
    capabilities: ['vacation', 'vacation-seconds'],
    tags: {
      days: { value: 'number', group: 'period' },
      seconds: { value: 'number', group: 'period', capability: 'vacation-seconds' },
      subject: { value: 'string' },
      from: { value: 'string' },
      addresses: { value: 'strings' },
      mime: {},
      handle: { value: 'string' },
    },
    values: ['string'],
  },
  error: { capabilities: ['ihave'], values: ['string'] },
}

export const testSignatures: Readonly<Record<string, Signature>> = {
  true: {},
  false: {},
  not: { tests: 'one' },
  allof: { tests: 'list' },
  anyof: { tests: 'list' },
  exists: { values: ['strings'] },
  size: { tags: { over: { group: 'comparison' }, under: { group: 'comparison' } }, values: ['number'] },
  header: { tags: { ...match, ...index }, values: ['strings', 'strings'] },
  address: { tags: { ...match, ...addressPart, ...index }, values: ['strings', 'strings'] },
  envelope: { capabilities: ['envelope'], tags: { ...match, ...addressPart }, values: ['strings', 'strings'] },
  body: {
    capabilities: ['body'],
    tags: { ...match, raw: { group: 'body transform' }, text: { group: 'body transform' }, content: { group: 'body transform', value: 'strings' } },
    values: ['strings'],
  },
  string: { capabilities: ['variables'], tags: match, values: ['strings', 'strings'] },
  hasflag: { capabilities: ['imap4flags'], tags: match, optionalFirst: { kind: 'strings', capability: 'variables' }, values: ['strings'] },
  date: {
    capabilities: ['date'],
    tags: { ...match, ...index, zone: { group: 'zone', value: 'string' }, originalzone: { group: 'zone' } },
    values: ['string', 'string', 'strings'],
  },
  currentdate: { capabilities: ['date'], tags: { ...match, zone: { value: 'string' } }, values: ['string', 'strings'] },
  mailboxexists: { capabilities: ['mailbox'], values: ['strings'] },
  specialuse_exists: { capabilities: ['special-use'], optionalFirst: { kind: 'string' }, values: ['strings'] },
  duplicate: {
    capabilities: ['duplicate'],
    tags: {
      handle: { value: 'string' },
      header: { value: 'string', group: 'unique id' },
      uniqueid: { value: 'string', group: 'unique id' },
      seconds: { value: 'number' },
      last: {},
    },
  },
  environment: { capabilities: ['environment'], tags: match, values: ['string', 'strings'] },
  ihave: { capabilities: ['ihave'], values: ['strings'] },
}
