/** RFC 3501 §5.1.3. undefined: not the encoding that an encoder would make (superfluous, broken or overlong shifts). */
export function decodeModifiedUtf7(text: string): string | undefined {
  if (/[^\x20-\x7e]/.test(text)) return undefined
  const decoded = text.replace(/&([^-]*)(-?)/g, (_all, base64: string, end: string) => {
    if (end === '') return '\0'
    if (base64 === '') return '&'
    if (!/^[A-Za-z0-9+,]+$/.test(base64)) return '\0'
    const bytes = Buffer.from(base64.replaceAll(',', '/'), 'base64')
    return bytes.length % 2 === 0 ? utf16(bytes) : '\0'
  })
  return decoded.includes('\0') || encodeModifiedUtf7(decoded) !== text ? undefined : decoded
}

function utf16(bytes: Buffer): string {
  let text = ''
  for (let i = 0; i < bytes.length; i += 2) text += String.fromCharCode(bytes.readUInt16BE(i))
  return Buffer.from(text).toString() === text ? text : '\0' // a lone surrogate does not survive UTF-8
}

export function encodeModifiedUtf7(text: string): string {
  return text.replaceAll('&', '&-').replace(/[^\x20-\x7e]+/g, (run) => {
    const bytes = Buffer.alloc(run.length * 2)
    for (let i = 0; i < run.length; i++) bytes.writeUInt16BE(run.charCodeAt(i), i * 2)
    return `&${bytes.toString('base64').replaceAll('/', ',').replace(/=+$/, '')}-`
  })
}
