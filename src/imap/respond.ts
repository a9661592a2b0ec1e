/** Everything a response is made of; strings go out as UTF-8. */
export type Piece = string | Buffer

/** A string as the server may always send it: quoted when it is short clean ASCII, else a literal (RFC 9051 §4.3). */
export function quoteOrLiteral(text: string): string {
  if (text.length <= 1000 && /^[\x20-\x7e]*$/.test(text)) return quoted(text)
  return `{${Buffer.byteLength(text)}}\r\n${text}`
}

export function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`
}

export function nstring(text: string | undefined | null): string {
  return text === undefined || text === null ? 'NIL' : quoteOrLiteral(text)
}

/** Binary content. The length and the bytes are separate pieces: a body is never copied to be sent. */
export function literal(bytes: Buffer): Piece[] {
  return [`{${bytes.length}}\r\n`, bytes]
}

/** For human-readable text of a response: one line of printable ASCII. */
export function plainText(text: string): string {
  return text.replace(/[^\x20-\x7e]+/g, '?').slice(0, 400)
}

const monthNames = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** date-time of RFC 9051 §9, in UTC. */
export function dateTime(date: Date): string {
  const two = (n: number) => String(n).padStart(2, '0')
  const day = String(date.getUTCDate()).padStart(2, ' ')
  const time = `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())}`
  return `"${day}-${monthNames[date.getUTCMonth()]}-${String(date.getUTCFullYear()).padStart(4, '0')} ${time} +0000"`
}
