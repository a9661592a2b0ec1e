/**
 * The content of a part without its transfer encoding, for BINARY (RFC 9051 §6.4.5). Tolerant as RFC 2045 asks of decoders: what
 * is not of the alphabet is skipped.
 * @returns undefined for an encoding that is not known: answered NO [UNKNOWN-CTE]
 */
export function decodeTransferEncoding(bytes: Buffer, encoding: string): Buffer | undefined {
  switch (encoding.toLowerCase()) {
    case '7bit':
    case '8bit':
    case 'binary':
    case '':
      return bytes
    case 'base64':
      return Buffer.from(bytes.toString('latin1').replace(/[^A-Za-z0-9+/=]/g, ''), 'base64')
    case 'quoted-printable':
      return decodeQuotedPrintable(bytes)
    default:
      return undefined
  }
}

function decodeQuotedPrintable(bytes: Buffer): Buffer {
  const text = bytes
    .toString('latin1')
    .replace(/[ \t]+(?=\r?\n|$)/g, '')
    .replace(/=\r?\n/g, '')
    .replace(/=([0-9A-Fa-f]{2})/g, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(text, 'latin1')
}
