import type { EnvelopeAddress, MessagePart, MessageRoot } from '../message/part.ts'

/** For the account in memory: enough of MIME for well-formed messages. */
export function parseKnown(bytes: Buffer): MessageRoot {
  return parse(bytes.toString('latin1'), 0, bytes.length) as MessageRoot
}

function parse(all: string, start: number, end: number): MessagePart {
  const blank = all.startsWith('\r\n', start) ? start - 2 : all.indexOf('\r\n\r\n', start)
  const bodyStart = blank < 0 || blank > end ? end : blank + 4
  const fields = new Map<string, string>()
  for (const line of all
    .slice(start, bodyStart)
    .replace(/\r\n(?=[ \t])/g, '')
    .split('\r\n')) {
    const colon = line.indexOf(':')
    if (colon > 0) fields.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim())
  }
  const [media, parameters] = withParameters(fields.get('content-type') ?? 'text/plain; charset=us-ascii')
  const [type, subtype] = media.split('/') as [string, string]
  const body = all.slice(bodyStart, end)
  const children: MessagePart[] = []
  const boundary = parameters.find(([name]) => name === 'boundary')?.[1]
  if (type === 'multipart' && boundary !== undefined) {
    const marks = [...`\r\n${body}`.matchAll(new RegExp(`\\r\\n--${boundary}(--)?[ \\t]*(?=\\r\\n|$)`, 'g'))]
    for (const [i, mark] of marks.entries()) {
      const next = marks[i + 1]
      if (mark[1] === undefined && next) children.push(parse(all, bodyStart + mark.index + mark[0].length, bodyStart + next.index - 2))
    }
  }
  const disposition = fields.get('content-disposition')
  const part: MessagePart = {
    headerStart: start,
    bodyStart,
    bodyEnd: end,
    type,
    subtype,
    parameters,
    id: fields.get('content-id'),
    description: fields.get('content-description'),
    encoding: fields.get('content-transfer-encoding') ?? '7bit',
    md5: fields.get('content-md5'),
    disposition: disposition === undefined ? undefined : { type: withParameters(disposition)[0], parameters: withParameters(disposition)[1] },
    language: fields.get('content-language')?.split(/, */) ?? [],
    location: fields.get('content-location'),
    lines: body.split('\r\n').length - 1,
    children,
    message: media === 'message/rfc822' ? (parse(all, bodyStart, end) as MessageRoot) : undefined,
  }
  const list = (name: string) => addresses(fields.get(name) ?? '')
  const envelope = {
    date: fields.get('date'),
    subject: fields.get('subject'),
    from: list('from'),
    sender: list('sender'),
    replyTo: list('reply-to'),
    to: list('to'),
    cc: list('cc'),
    bcc: list('bcc'),
  }
  return Object.assign(part, { envelope: { ...envelope, inReplyTo: fields.get('in-reply-to'), messageId: fields.get('message-id') } })
}

function withParameters(value: string): [string, (readonly [string, string])[]] {
  const [first = '', ...rest] = value.split(/; */)
  return [
    first.toLowerCase(),
    rest
      .filter((each) => each.includes('='))
      .map((each) => [each.slice(0, each.indexOf('=')), each.slice(each.indexOf('=') + 1).replace(/^"|"$/g, '')] as const),
  ]
}

function addresses(value: string): EnvelopeAddress[] {
  const group = /^([^:"<@]+):(.*);/.exec(value)
  const nobody = { name: undefined, mailbox: undefined, host: undefined }
  if (group) return [{ ...nobody, mailbox: group[1] }, ...addresses(group[2] as string), nobody, ...addresses(value.slice(group[0].length).replace(/^, */, ''))]
  return value.split(/, */).flatMap((each) => {
    const match = /^(.*?)\s*<?([^<>@\s]+)@([^<>\s]+)>?$/.exec(each.trim())
    return match ? [{ name: match[1] ? match[1].replace(/^"|"$/g, '').replace(/\\(.)/g, '$1') : undefined, mailbox: match[2], host: match[3] }] : []
  })
}
