/** A range of sequence numbers or UIDs, both ends included. `Infinity` stands for `*`, the largest in use. */
export interface NumberRange {
  readonly first: number
  readonly last: number
}

const numberMax = 0xffffffff

/** RFC 9051 §9 sequence-set. undefined: malformed, or a number out of 1..2^32-1. */
export function parseSequenceSet(text: string): readonly NumberRange[] | undefined {
  const ranges: NumberRange[] = []
  for (const part of text.split(',')) {
    const match = /^(\d{1,10}|\*)(?::(\d{1,10}|\*))?$/.exec(part)
    if (!match) return undefined
    const a = numberOf(match[1] as string)
    const b = match[2] === undefined ? a : numberOf(match[2])
    if (a < 1 || b < 1 || (a > numberMax && a !== Infinity) || (b > numberMax && b !== Infinity)) return undefined
    ranges.push({ first: Math.min(a, b), last: Math.max(a, b) })
  }
  return ranges
}

function numberOf(text: string): number {
  return text === '*' ? Infinity : Number(text)
}

/** Puts the largest number in use in the place of `*`. With `3:*` and a largest of 2, the range is 2:3 (RFC 9051 §9, seq-range). */
export function resolveStar(set: readonly NumberRange[], largest: number): NumberRange[] {
  return set.map(({ first, last }) => {
    const a = first === Infinity ? largest : first
    const b = last === Infinity ? largest : last
    return { first: Math.min(a, b), last: Math.max(a, b) }
  })
}

/** Sorted and without overlap, so that each number is met once. */
export function normaliseSet(set: readonly NumberRange[]): NumberRange[] {
  const result: NumberRange[] = []
  for (const range of [...set].sort((a, b) => a.first - b.first)) {
    const previous = result.at(-1)
    if (previous && range.first <= previous.last + 1) result[result.length - 1] = { first: previous.first, last: Math.max(previous.last, range.last) }
    else result.push(range)
  }
  return result
}

/** Runs of successive numbers, in the order given. */
export function rangesOf(numbers: readonly number[]): NumberRange[] {
  const ranges: NumberRange[] = []
  for (let i = 0; i < numbers.length; ) {
    let j = i
    while (j + 1 < numbers.length && numbers[j + 1] === (numbers[j] as number) + 1) j++
    ranges.push({ first: numbers[i] as number, last: numbers[j] as number })
    i = j + 1
  }
  return ranges
}

/** `1:3,7`. The order stays: COPYUID pairs the n-th source with the n-th destination (RFC 9051 §7.1). */
export function formatSet(numbers: readonly number[]): string {
  return rangesOf(numbers)
    .map(({ first, last }) => (first === last ? `${first}` : `${first}:${last}`))
    .join(',')
}
