/** RFC 3461 §4: `+` and two upper case hexadecimal digits stand for an octet. Undefined when it is not xtext. */
export function decodeXtext(text: string): string | undefined {
  if (!/^(?:[!-*,-<>-~]|\+[0-9A-F]{2})*$/.test(text)) return undefined
  return Buffer.from(
    text.replace(/\+(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  ).toString('latin1')
}

/** Printable ASCII, as RFC 3461 §4.2 and §4.4 ask of what is encoded. */
export function decodePrintableXtext(text: string): string | undefined {
  const decoded = decodeXtext(text)
  return decoded !== undefined && /^[ -~]*$/.test(decoded) ? decoded : undefined
}
