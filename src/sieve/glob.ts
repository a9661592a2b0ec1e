import { type Budget, charge } from './fault.ts'

type Piece = { readonly kind: 'star' } | { readonly kind: 'any' } | { readonly kind: 'literal'; readonly char: string }

/**
 * RFC 5228 §2.7.1, `:matches`: "*" any number of characters, "?" one (a code point), "\" takes the meaning away.
 * Only the last star is ever extended, so a star that comes earlier has taken the least it could (RFC 5229 §3.2), and the work is bounded by the
 * product of the lengths.
 * @param folded the value as it is compared, of the same length as `value`
 * @returns the whole value and what each wildcard stands for; undefined when it does not match
 */
export function matchGlob(value: string, folded: string, pattern: string, budget: Budget): string[] | undefined {
  charge(budget, pattern.length * 4)
  const pieces = parseGlob(pattern)
  const starts: number[] = []
  let star: { readonly piece: number; end: number } | undefined
  let at = 0
  let piece = 0
  for (;;) {
    charge(budget, 1)
    const wanted = pieces[piece]
    if (wanted === undefined && at === value.length) return captures(value, pieces, starts)
    const length = wanted?.kind === 'literal' ? wanted.char.length : characterLength(value, at)
    starts[piece] = at
    if (wanted?.kind === 'star') star = { piece: piece++, end: at }
    else if (wanted && at < value.length && (wanted.kind === 'any' || folded.startsWith(wanted.char, at))) {
      at += length
      piece++
    } else {
      if (star === undefined || star.end >= value.length) return undefined
      star.end += characterLength(value, star.end)
      at = star.end
      piece = star.piece + 1
    }
  }
}

function captures(value: string, pieces: readonly Piece[], starts: readonly number[]): string[] {
  const all = [value]
  for (const [i, { kind }] of pieces.entries()) if (kind !== 'literal') all.push(value.slice(starts[i], i + 1 < pieces.length ? starts[i + 1] : value.length))
  return all
}

function characterLength(text: string, at: number): number {
  return (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1
}

function parseGlob(pattern: string): Piece[] {
  const pieces: Piece[] = []
  let escaped = false
  for (const char of pattern) {
    if (escaped || (char !== '*' && char !== '?' && char !== '\\')) pieces.push({ kind: 'literal', char })
    else if (char === '*') pieces.push({ kind: 'star' })
    else if (char === '?') pieces.push({ kind: 'any' })
    escaped = !escaped && char === '\\'
  }
  // With nothing behind it that it could change.
  if (escaped) pieces.push({ kind: 'literal', char: '\\' })
  return pieces
}
