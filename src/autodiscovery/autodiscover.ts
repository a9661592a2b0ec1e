import { type Access, accessesOf, type ReachableServer } from './access.ts'
import { textOfElement, type XmlElement, xmlDocument } from './xml.ts'

const base = 'http://schemas.microsoft.com/exchange/autodiscover'
const settingsSchema = `${base}/outlook/responseschema/2006a`

/** MS-OXDSCLI: what Outlook asks, or why it cannot be answered. */
export type DiscoverRequest =
  | { readonly kind: 'settings'; readonly address: string }
  /** Not a request. */
  | { readonly kind: 'invalid' }
  /** Another schema than that of mail settings, ActiveSync's for example. */
  | { readonly kind: 'otherSchema' }

export function readDiscoverRequest(xml: string): DiscoverRequest {
  const address = textOfElement(xml, 'EMailAddress')
  const schema = textOfElement(xml, 'AcceptableResponseSchema')
  if (schema !== undefined && schema.toLowerCase() !== settingsSchema) return { kind: 'otherSchema' }
  return address === undefined || address === '' ? { kind: 'invalid' } : { kind: 'settings', address }
}

/** The settings for one address: the preferred way to read mail, and the preferred way to submit it. */
export function discoverSettings(server: ReachableServer, mailbox: { readonly address: string; readonly domain: string }): string {
  const accesses = accessesOf(server, mailbox.domain)
  const preferred = (['imap', 'smtp'] as const).flatMap((kind) => accesses.find((access) => access.kind === kind) ?? [])
  const account: readonly XmlElement[] = [
    ['AccountType', {}, 'email'],
    ['Action', {}, 'settings'],
    ...preferred.map((access) => protocolElement(access, mailbox.address)),
  ]
  return response(settingsSchema, [
    ['User', {}, [['AutoDiscoverSMTPAddress', {}, mailbox.address]]],
    ['Account', {}, account],
  ])
}

function protocolElement({ kind, hostName, port, tls }: Access, address: string): XmlElement {
  const content: readonly XmlElement[] = [
    ['Type', {}, kind.toUpperCase()],
    ['Server', {}, hostName],
    ['Port', {}, port],
    ['DomainRequired', {}, 'off'],
    ['LoginName', {}, address],
    ['SPA', {}, 'off'],
    ['SSL', {}, 'on'],
    // Says how, and goes before SSL.
    ['Encryption', {}, tls === 'implicit' ? 'SSL' : 'TLS'],
    ['AuthRequired', {}, 'on'],
  ]
  return ['Protocol', {}, content]
}

const failures = {
  invalid: [600, 'Invalid Request'],
  otherSchema: [601, 'The requested schema version is not supported'],
  unknownAddress: [500, 'The email address cannot be found'],
} as const

export function discoverFailure(kind: keyof typeof failures, now: Date): string {
  const [code, message] = failures[kind]
  const content: readonly XmlElement[] = [
    ['ErrorCode', {}, code],
    ['Message', {}, message],
    ['DebugData', {}, ''],
  ]
  return response(`${base}/responseschema/2006`, [['Error', { Time: now.toISOString().slice(11, 23), Id: '1' }, content]])
}

function response(schema: string, content: readonly XmlElement[]): string {
  return xmlDocument(['Autodiscover', { xmlns: `${base}/responseschema/2006` }, [['Response', { xmlns: schema }, content]]])
}
