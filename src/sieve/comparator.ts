/** RFC 4790. `i;octet` and `i;ascii-casemap` compare UTF-8, whose order is that of the code points. */
export type Comparator = 'i;octet' | 'i;ascii-casemap' | 'i;ascii-numeric'

export function isComparator(name: string): name is Comparator {
  return name === 'i;octet' || name === 'i;ascii-casemap' || name === 'i;ascii-numeric'
}

/** RFC 4790 §9.1: `i;ascii-numeric` has equality and order only. */
export function hasSubstrings(name: string): boolean {
  return name !== 'i;ascii-numeric'
}

/** The form in which equal strings are the same string; as long as the string, except for numbers. */
export function fold(text: string, comparator: Comparator): string {
  switch (comparator) {
    case 'i;octet':
      return text
    case 'i;ascii-casemap':
      return upperAscii(text)
    case 'i;ascii-numeric':
      return /^0*([0-9]+)/.exec(text)?.[1] ?? infinity
  }
}

/** Letters of ASCII only; most text has no others, and then the platform does it at once. */
export function upperAscii(text: string): string {
  return isAscii(text) ? text.toUpperCase() : text.replace(/[a-z]+/g, (letters) => letters.toUpperCase())
}

function isAscii(text: string): boolean {
  return !/[^\x00-\x7f]/.test(text)
}

/** RFC 4790 §9.1.1: what does not begin with a digit is more than every number, and equal to its like. */
const infinity = ''

/** Less than, equal to or greater than 0, of strings that have been folded. */
export function order(left: string, right: string, comparator: Comparator): number {
  if (comparator !== 'i;ascii-numeric') return orderOfCodePoints(left, right)
  if (left === right) return 0
  if (left === infinity) return 1
  if (right === infinity) return -1
  return left.length - right.length || (left < right ? -1 : 1)
}

function orderOfCodePoints(left: string, right: string): number {
  for (let at = 0; at < left.length && at < right.length; at++) {
    if (left.charCodeAt(at) !== right.charCodeAt(at)) return fixUp(left.charCodeAt(at)) - fixUp(right.charCodeAt(at))
  }
  return left.length - right.length
}

/** Surrogates stand for characters beyond all others. */
function fixUp(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit
}
