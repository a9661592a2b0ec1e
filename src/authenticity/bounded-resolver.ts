import type { Resolver } from 'node:dns/promises'

/** How mailauth asks: TXT answers in pieces, all others as `resolve` of node:dns gives them. */
export type Ask = (name: string, type: string) => Promise<string[] | string[][]>

/** SPF alone may take ten lookups and their ten (RFC 7208 §4.6.4); the rest is for signatures, which a message can have as many of as it likes. */
const lookupsMax = 60

/**
 * The lookups for one message: each asked once, no more than a bound however much the message refers to, none after `deadline`
 * (milliseconds of performance.now). What is refused fails as a name server that does not answer: a temporary error.
 */
export function boundedResolver(resolver: Pick<Resolver, 'resolve'>, deadline: number): Ask {
  const asked = new Map<string, ReturnType<Ask>>()
  return (name, type) => {
    const key = `${type} ${name.toLowerCase()}`
    const known = asked.get(key)
    if (known) return known
    const answer =
      asked.size >= lookupsMax
        ? Promise.reject(temporary(`more than ${lookupsMax} lookups`))
        : within(deadline, resolver.resolve(name, type) as ReturnType<Ask>)
    asked.set(key, answer)
    return answer
  }
}

async function within<T>(deadline: number, answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(temporary('no answer in time')), Math.max(0, deadline - performance.now()))
  })
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
  }
}

function temporary(reason: string): Error {
  return Object.assign(new Error(`name server: ${reason}`), { code: 'ETIMEOUT' })
}
