/**
 * A position in the write-ahead log, in bytes from the log's start (PostgreSQL manual, "pg_lsn type").
 * A bigint, so that positions are compared and subtracted exactly; text form `X/Y` only at the edges.
 */
export type Lsn = bigint & { readonly __brand: 'Lsn' }

export const lsn = (bytes: bigint): Lsn => bytes as Lsn
export const zeroLsn = lsn(0n)

/** Reads PostgreSQL's `X/Y` form, two hexadecimal halves of 32 bits. Throws a TypeError on anything else: such a value never comes from outside. */
export function parseLsn(text: string): Lsn {
  const match = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text)
  if (match === null) throw new TypeError(`not a log position: "${text}", wanted the form "0/1A2B3C"`)
  return lsn((BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`))
}

export function formatLsn(position: Lsn): string {
  return `${(position >> 32n).toString(16).toUpperCase()}/${(position & 0xffffffffn).toString(16).toUpperCase()}`
}
