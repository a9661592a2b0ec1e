import { readHeader } from '../message/header.ts'

/** RFC 6409 §8.2, §8.3: the fields that a message from a person must have and this one has not. */
export function missingFields(content: Buffer, add: { readonly at: Date; readonly id: string; readonly domain: string }): string {
  const names = new Set(readHeader(content, 0, content.length).fields.map((field) => field.name))
  const date = names.has('date') ? '' : `Date: ${add.at.toUTCString().replace('GMT', '+0000')}\r\n`
  const messageId = names.has('message-id') ? '' : `Message-ID: <${add.id}@${add.domain}>\r\n`
  return date + messageId
}
