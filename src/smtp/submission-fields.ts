import { parseAddresses } from '../message/addresses.ts'
import { fieldValue, readHeader } from '../message/header.ts'

/** RFC 6409 §8.2, §8.3: the fields that a message from a person must have and this one has not. */
export function missingFields(content: Buffer, add: { readonly at: Date; readonly id: string; readonly domain: string }): string {
  const names = new Set(readHeader(content, 0, content.length).fields.map((field) => field.name))
  const date = names.has('date') ? '' : `Date: ${add.at.toUTCString().replace('GMT', '+0000')}\r\n`
  const messageId = names.has('message-id') ? '' : `Message-ID: <${add.id}@${add.domain}>\r\n`
  return date + messageId
}

/** The domain of the one author in From, lower case; undefined when there are several authors, or none. */
export function authorDomain(message: Buffer): string | undefined {
  const header = readHeader(message, 0, message.length)
  if (header.fields.filter(({ name }) => name === 'from').length !== 1) return undefined
  const authors = parseAddresses(fieldValue(message, header, 'from') ?? '').filter(({ host }) => host !== undefined)
  return authors.length === 1 ? authors[0]?.host?.toLowerCase() : undefined
}
