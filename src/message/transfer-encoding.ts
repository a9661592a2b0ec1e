/**
 * The content of a part without its transfer encoding. Tolerant, as RFC 2045 asks of decoders: what is not of the alphabet is skipped.
 * @returns undefined for an encoding that is not known
 */
export function decodeTransferEncoding(bytes: Uint8Array, encoding: string): Uint8Array | undefined {
  switch (encoding.toLowerCase()) {
    case '':
    case '7bit':
    case '8bit':
    case 'binary':
      return bytes
    case 'base64':
      return decodeBase64(bytes)
    case 'quoted-printable':
      return decodeQuotedPrintable(bytes)
    default:
      return undefined
  }
}

const base64Values = new Int8Array(256).fill(-1)
for (const [i, char] of [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'].entries()) base64Values[char.charCodeAt(0)] = i

export function decodeBase64(bytes: Uint8Array): Uint8Array {
  const result = new Uint8Array(Math.ceil((bytes.length * 3) / 4))
  let length = 0
  let bits = 0
  let held = 0
  for (const byte of bytes) {
    const value = base64Values[byte] as number
    if (value < 0) continue
    held = ((held << 6) | value) & 0xffff
    bits += 6
    if (bits >= 8) {
      bits -= 8
      result[length++] = (held >> bits) & 0xff
    }
  }
  return result.subarray(0, length)
}

const EQUALS = 61
const LF = 10
const CR = 13

/** RFC 2045 §6.7. */
export function decodeQuotedPrintable(bytes: Uint8Array): Uint8Array {
  const result = new Uint8Array(bytes.length)
  let length = 0
  /** Length without the white space at the end of the line: it was added on the way. */
  let solid = 0
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] as number
    if (byte === EQUALS) {
      const high = hexValue(bytes[i + 1])
      const low = hexValue(bytes[i + 2])
      const end = softBreakEnd(bytes, i + 1)
      if (high >= 0 && low >= 0) {
        result[length++] = high * 16 + low
        i += 2
      } else if (end !== undefined) i = end - 1
      else result[length++] = byte
      solid = length
    } else if (byte === 32 || byte === 9) result[length++] = byte
    else {
      if (byte === LF || (byte === CR && bytes[i + 1] === LF)) length = solid
      result[length++] = byte
      solid = length
    }
  }
  return result.subarray(0, solid)
}

function softBreakEnd(bytes: Uint8Array, from: number): number | undefined {
  let at = from
  while (bytes[at] === 32 || bytes[at] === 9) at++
  if (at >= bytes.length) return at
  if (bytes[at] === CR && bytes[at + 1] === LF) return at + 2
  return bytes[at] === LF ? at + 1 : undefined
}

function hexValue(byte: number | undefined): number {
  if (byte === undefined) return -1
  if (byte >= 48 && byte <= 57) return byte - 48
  const letter = byte | 32
  return letter >= 97 && letter <= 102 ? letter - 87 : -1
}
