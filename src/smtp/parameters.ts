import { isNonAscii, type Path, readMailbox } from './address.ts'
import { refusals } from './reply.ts'
import { decodePrintableXtext, decodeXtext } from './xtext.ts'

/** The parameters of MAIL, validated. */
export interface MailParameters {
  /** RFC 1870: what the client says the content will have. */
  readonly sizeBytes?: number
  /** RFC 6152, RFC 3030. */
  readonly body: '7BIT' | '8BITMIME' | 'BINARYMIME'
  /** RFC 6531. */
  readonly smtpUtf8: boolean
  /** RFC 8689. */
  readonly requireTls: boolean
  /** RFC 4954 §5: who submitted the message; '' for `<>`, not known. */
  readonly auth?: string
  /** RFC 3461 §4.3. */
  readonly ret?: 'FULL' | 'HDRS'
  /** RFC 3461 §4.4, decoded. */
  readonly envid?: string
}

/** The parameters of RCPT, validated (RFC 3461). */
export interface RecipientParameters {
  readonly notify?: readonly Notify[]
  readonly orcpt?: { readonly type: string; readonly address: string }
}
export type Notify = 'NEVER' | 'SUCCESS' | 'FAILURE' | 'DELAY'

/** Which extensions the session has: a parameter of another one is not known (555). */
export interface Extensions {
  readonly auth: boolean
  readonly requireTls: boolean
}

type Value = string | undefined
/** What a parameter with this value sets; undefined: not a value of it. */
type Meaning<T> = (value: Value) => Partial<T> | undefined

const mailMeanings: Readonly<Record<string, Meaning<MailParameters>>> = {
  SIZE: (value) => (value && /^\d{1,20}$/.test(value) ? { sizeBytes: Number(value) } : undefined),
  BODY: (value) => {
    const body = value?.toUpperCase()
    return body === '7BIT' || body === '8BITMIME' || body === 'BINARYMIME' ? { body } : undefined
  },
  SMTPUTF8: (value) => (value === undefined ? { smtpUtf8: true } : undefined),
  REQUIRETLS: (value) => (value === undefined ? { requireTls: true } : undefined),
  AUTH: (value) => {
    const auth = value && decodeXtext(value)
    if (auth === '<>') return { auth: '' }
    return auth && readMailbox(auth) ? { auth } : undefined
  },
  RET: (value) => {
    const ret = value?.toUpperCase()
    return ret === 'FULL' || ret === 'HDRS' ? { ret } : undefined
  },
  ENVID: (value) => {
    const envid = value !== undefined && value.length <= 100 ? decodePrintableXtext(value) : undefined
    return envid ? { envid } : undefined
  },
}

const recipientMeanings: Readonly<Record<string, Meaning<RecipientParameters>>> = {
  NOTIFY: (value) => {
    const notify = value?.toUpperCase().split(',') ?? []
    const isAlone = notify.length === 1 || !notify.includes('NEVER')
    return isAlone && notify.length > 0 && notify.every(isNotify) ? { notify: notify.filter(isNotify) } : undefined
  },
  ORCPT: (value) => {
    const [, type, encoded] = /^([!#$%&'*+/0-9=?A-Z^_`a-z{|}~-]+);(.+)$/.exec(value ?? '') ?? []
    // RFC 6533 §3: an address of type utf-8 may hold more than ASCII.
    const address = encoded === undefined || (value ?? '').length > 500 ? undefined : /^utf-8$/i.test(type ?? '') ? encoded : decodePrintableXtext(encoded)
    return type && address ? { orcpt: { type, address } } : undefined
  },
}

const mailDefaults: MailParameters = { body: '7BIT', smtpUtf8: false, requireTls: false }

/** @throws Refusal 555 for a parameter that is not known, 501 for one that is wrong or there twice */
export function readMailParameters(text: string, extensions: Extensions): MailParameters {
  const known = { ...mailMeanings }
  if (!extensions.auth) delete known['AUTH']
  if (!extensions.requireTls) delete known['REQUIRETLS']
  return { ...mailDefaults, ...read(text, known) }
}

/** @throws Refusal as above */
export function readRecipientParameters(text: string): RecipientParameters {
  return read(text, recipientMeanings)
}

/** RFC 6531 §3.2: what is not ASCII in an address needs SMTPUTF8 in MAIL. */
export function requireAscii(path: Path, mail: Pick<MailParameters, 'smtpUtf8'>): void {
  if (!mail.smtpUtf8 && isNonAscii(path.address)) throw refusals.addressNotAscii()
}

function read<T>(text: string, meanings: Readonly<Record<string, Meaning<T>>>): Partial<T> {
  let found: Partial<T> = {}
  const seen = new Set<string>()
  for (const parameter of text.split(' ').filter((each) => each !== '')) {
    const [, name, value] = /^([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~\u0080-\u{10ffff}]+))?$/u.exec(parameter) ?? []
    if (name === undefined) throw refusals.badParameter(printable(parameter))
    const keyword = name.toUpperCase()
    const meaning = Object.hasOwn(meanings, keyword) ? meanings[keyword] : undefined
    if (!meaning) throw refusals.unknownParameter(keyword)
    const meant = seen.has(keyword) ? undefined : meaning(value)
    if (!meant) throw refusals.badParameter(keyword)
    seen.add(keyword)
    found = { ...found, ...meant }
  }
  return found
}

function isNotify(text: string): text is Notify {
  return text === 'NEVER' || text === 'SUCCESS' || text === 'FAILURE' || text === 'DELAY'
}

function printable(text: string): string {
  return text.replace(/[^!-~]/g, '?').slice(0, 40)
}
