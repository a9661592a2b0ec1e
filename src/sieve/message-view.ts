import { parseAddresses } from '../message/addresses.ts'
import { decodeEncodedWords } from '../message/encoded-words.ts'
import { fieldText, type HeaderField, readHeader } from '../message/header.ts'
import { withoutComments } from '../message/parameters.ts'
import type { EnvelopeAddress, MessageRoot } from '../message/part.ts'
import { parseMessage } from '../message/structure.ts'

/** A message as the tests see it. */
export interface MessageView {
  readonly bytes: Uint8Array
  /** By name, lower case. */
  readonly fields: ReadonlyMap<string, readonly HeaderField[]>
  readonly root: MessageRoot
}

/** @param root the structure, when it is known already */
export function viewMessage(bytes: Uint8Array, root: MessageRoot = parseMessage(bytes)): MessageView {
  const fields = new Map<string, HeaderField[]>()
  for (const field of readHeader(bytes, root.headerStart, root.bodyEnd).fields) {
    const same = fields.get(field.name)
    if (same) same.push(field)
    else fields.set(field.name, [field])
  }
  return { bytes, root, fields }
}

/** RFC 5260 §6: one of the fields of a name, counted from 1 from the first or the last. */
export interface Occurrence {
  readonly index: number
  readonly from: 'first' | 'last'
}

/** The values of all fields of this name, unfolded and trimmed, encoded words left as they are. */
export function rawValues(message: MessageView, name: string, occurrence?: Occurrence): string[] {
  const fields = message.fields.get(name.toLowerCase()) ?? []
  if (occurrence === undefined) return fields.map((field) => fieldText(message.bytes, field))
  const field = fields.at(occurrence.from === 'first' ? occurrence.index - 1 : -occurrence.index)
  return field ? [fieldText(message.bytes, field)] : []
}

export function firstValue(message: MessageView, name: string): string | undefined {
  return rawValues(message, name, { index: 1, from: 'first' })[0]
}

/** How many octets `rawValues` would look at. */
export function valueBytes(message: MessageView, name: string): number {
  return (message.fields.get(name.toLowerCase()) ?? []).reduce((sum, field) => sum + field.end - field.valueStart, 0)
}

/** RFC 5228 §2.4.2.2: encoded words decoded. */
export function headerValues(message: MessageView, name: string, occurrence?: Occurrence): string[] {
  return rawValues(message, name, occurrence).map((value) => decodeEncodedWords(value).trim())
}

export type AddressPart = 'all' | 'localpart' | 'domain' | 'user' | 'detail'

/** A part of each address in the fields of a name. Addresses that are none have only the whole (RFC 5228 §2.7.4). */
export function addressParts(message: MessageView, name: string, part: AddressPart, occurrence?: Occurrence): string[] {
  return rawValues(message, name, occurrence).flatMap((value) => {
    if (value === '') return part === 'all' ? [''] : []
    return parseAddresses(withoutComments(value)).flatMap((address) => partOf(address, part) ?? [])
  })
}

function partOf({ mailbox, host }: EnvelopeAddress, part: AddressPart): string | undefined {
  // The start and the end of a group are no addresses.
  if (mailbox === undefined || host === undefined) return undefined
  if (host === '.MISSING-HOST-NAME.') return part === 'all' ? mailbox : undefined
  if (host === '' || mailbox === '') return part === 'all' ? `${mailbox}@${host}` : undefined
  return splitAddress({ local: mailbox, domain: host }, part)
}

/** RFC 5228 §5.4: the null reverse-path is the empty string, whatever part is asked for. */
export function envelopePart(address: string, part: AddressPart): string | undefined {
  const at = address.lastIndexOf('@')
  if (address === '') return ''
  if (at < 0) return part === 'domain' ? undefined : splitAddress({ local: address, domain: '' }, part)
  const [local, domain] = [address.slice(0, at), address.slice(at + 1)]
  if (local === '' || domain === '') return part === 'all' ? address : undefined
  return splitAddress({ local, domain }, part)
}

/** RFC 5233 §4: without a separator there is no detail, which is not an empty one. */
function splitAddress({ local, domain }: { readonly local: string; readonly domain: string }, part: AddressPart): string | undefined {
  const plus = local.indexOf('+')
  switch (part) {
    case 'all':
      return domain === '' ? local : `${local}@${domain}`
    case 'localpart':
      return local
    case 'domain':
      return domain
    case 'user':
      return plus < 0 ? local : local.slice(0, plus)
    case 'detail':
      return plus < 0 ? undefined : local.slice(plus + 1)
  }
}
