import { type Cursor, SyntaxFault } from './cursor.ts'

/** The part of a message a BODY[…] names (RFC 9051 §6.4.5, section-spec). `part` is empty for the message itself. */
export interface Section {
  readonly part: readonly number[]
  readonly text: 'all' | 'header' | 'text' | 'mime' | { readonly fields: readonly string[]; readonly not: boolean }
}

export interface Partial {
  readonly offset: number
  readonly length: number
}

export type FetchItem =
  | { readonly kind: 'flags' | 'uid' | 'internalDate' | 'size' | 'envelope' | 'body' | 'bodyStructure' | 'modseq' | 'emailId' | 'threadId' }
  | {
      readonly kind: 'section'
      readonly section: Section
      readonly peek: boolean
      readonly partial: Partial | undefined
      /** The name that the answer repeats. */
      readonly label: string
    }
  | { readonly kind: 'binary'; readonly part: readonly number[]; readonly peek: boolean; readonly partial: Partial | undefined; readonly label: string }
  | { readonly kind: 'binarySize'; readonly part: readonly number[]; readonly label: string }

const simple: Record<string, FetchItem> = {
  FLAGS: { kind: 'flags' },
  UID: { kind: 'uid' },
  INTERNALDATE: { kind: 'internalDate' },
  'RFC822.SIZE': { kind: 'size' },
  ENVELOPE: { kind: 'envelope' },
  BODYSTRUCTURE: { kind: 'bodyStructure' },
  MODSEQ: { kind: 'modseq' },
  // RFC 8474 §5
  EMAILID: { kind: 'emailId' },
  THREADID: { kind: 'threadId' },
  // RFC 3501 §6.4.5: the old names are these sections; the answer bears the old name.
  RFC822: { kind: 'section', section: { part: [], text: 'all' }, peek: false, partial: undefined, label: 'RFC822' },
  'RFC822.HEADER': { kind: 'section', section: { part: [], text: 'header' }, peek: true, partial: undefined, label: 'RFC822.HEADER' },
  'RFC822.TEXT': { kind: 'section', section: { part: [], text: 'text' }, peek: false, partial: undefined, label: 'RFC822.TEXT' },
}

const macros: Record<string, readonly string[]> = {
  ALL: ['FLAGS', 'INTERNALDATE', 'RFC822.SIZE', 'ENVELOPE'],
  FAST: ['FLAGS', 'INTERNALDATE', 'RFC822.SIZE'],
  FULL: ['FLAGS', 'INTERNALDATE', 'RFC822.SIZE', 'ENVELOPE', 'BODY'],
}

const itemsMax = 100

export function parseFetchItems(cursor: Cursor): FetchItem[] {
  if (cursor.peek('(')) {
    const items = cursor.list(() => parseItem(cursor, cursor.itemName()))
    if (items.length === 0) throw new SyntaxFault('Expected at least one item')
    if (items.length > itemsMax) throw new SyntaxFault('Too many items', 'TOOBIG')
    return items
  }
  const name = cursor.itemName()
  const macro = macros[name]
  return macro ? macro.map((each) => (each === 'BODY' ? { kind: 'body' as const } : (simple[each] as FetchItem))) : [parseItem(cursor, name)]
}

function parseItem(cursor: Cursor, name: string): FetchItem {
  if (name === 'BODY' && !cursor.peek('[')) return { kind: 'body' }
  if (name === 'BODY' || name === 'BODY.PEEK') return parseSection(cursor, name === 'BODY.PEEK')
  if (name === 'BINARY' || name === 'BINARY.PEEK' || name === 'BINARY.SIZE') return parseBinary(cursor, name)
  const item = Object.hasOwn(simple, name) ? simple[name] : undefined
  if (item === undefined) throw new SyntaxFault(`Unknown FETCH item ${name}`)
  return item
}

function parseSection(cursor: Cursor, peek: boolean): FetchItem {
  cursor.expect('[')
  const part: number[] = []
  let text: Section['text'] = 'all'
  let label = ''
  if (!cursor.peek(']')) {
    while (/^[1-9]/.test(cursor.peekChar())) {
      part.push(cursor.number())
      if (!cursor.take('.')) break
      if (cursor.peek(']')) throw new SyntaxFault('Invalid section')
    }
    label = part.join('.')
    if (!cursor.peek(']')) {
      const [parsed, textLabel] = parseSectionText(cursor, part.length > 0)
      text = parsed
      label = label === '' ? textLabel : `${label}.${textLabel}`
    }
  }
  cursor.expect(']')
  const partial = parsePartial(cursor)
  return { kind: 'section', section: { part, text }, peek, partial, label: `BODY[${label}]${partial ? `<${partial.offset}>` : ''}` }
}

function parseSectionText(cursor: Cursor, inPart: boolean): [Section['text'], string] {
  const name = cursor.itemName()
  switch (name) {
    case 'HEADER':
      return ['header', name]
    case 'TEXT':
      return ['text', name]
    case 'MIME':
      if (!inPart) throw new SyntaxFault('MIME needs a part number')
      return ['mime', name]
    case 'HEADER.FIELDS':
    case 'HEADER.FIELDS.NOT': {
      cursor.space()
      const fields = cursor.list(() => cursor.astring())
      // A field name has no colon, control or 8-bit character (RFC 5322 §3.6.8); letting others through would let them into the answer's label.
      if (fields.length === 0 || fields.some((field) => !/^[\x21-\x39\x3b-\x7e]{1,998}$/.test(field))) throw new SyntaxFault('Invalid header field name')
      const names = fields.map((field) => (/^[^\x00-\x20\x7f(){%*"\\\]]+$/.test(field) ? field : `"${field.replace(/["\\]/g, '\\$&')}"`))
      return [{ fields: fields.map((field) => field.toLowerCase()), not: name.endsWith('NOT') }, `${name} (${names.join(' ')})`]
    }
    default:
      throw new SyntaxFault(`Unknown section ${name}`)
  }
}

function parseBinary(cursor: Cursor, name: 'BINARY' | 'BINARY.PEEK' | 'BINARY.SIZE'): FetchItem {
  cursor.expect('[')
  const part: number[] = []
  if (!cursor.peek(']')) {
    do part.push(cursor.number())
    while (cursor.take('.'))
    if (part.includes(0)) throw new SyntaxFault('Invalid section')
  }
  cursor.expect(']')
  if (name === 'BINARY.SIZE') return { kind: 'binarySize', part, label: `BINARY.SIZE[${part.join('.')}]` }
  const partial = parsePartial(cursor)
  return { kind: 'binary', part, peek: name === 'BINARY.PEEK', partial, label: `BINARY[${part.join('.')}]${partial ? `<${partial.offset}>` : ''}` }
}

function parsePartial(cursor: Cursor): Partial | undefined {
  if (!cursor.take('<')) return undefined
  const offset = cursor.number(Number.MAX_SAFE_INTEGER)
  cursor.expect('.')
  const length = cursor.number(Number.MAX_SAFE_INTEGER)
  if (length === 0) throw new SyntaxFault('A partial length must not be zero')
  cursor.expect('>')
  return { offset, length }
}
