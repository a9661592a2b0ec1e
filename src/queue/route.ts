import { isIP } from 'node:net'

/** Of `node:dns/promises`: its errors have the codes of c-ares. */
export interface Resolver {
  resolveMx(domain: string): Promise<readonly { readonly exchange: string; readonly priority: number }[]>
  resolve4(host: string): Promise<readonly string[]>
  resolve6(host: string): Promise<readonly string[]>
}

export interface Hop {
  /** The name that a certificate has to have. */
  readonly host: string
  readonly address: string
}

export type Route =
  | { readonly kind: 'hops'; readonly hops: readonly Hop[] }
  /** `enhanced` and `text` as in a reply; `permanent` when trying again cannot help. */
  | { readonly kind: 'none'; readonly permanent: boolean; readonly enhanced: string; readonly text: string }

const hopsMax = 5
const absent = new Set(['ENODATA', 'ENOTFOUND'])

/** Where mail of a domain goes, in the order in which to try (RFC 5321 §5.1, RFC 7505). `own`: the names of this server, lower case. */
export async function route(
  domain: string,
  given: { readonly resolver: Resolver; readonly own: ReadonlySet<string>; readonly random: () => number },
): Promise<Route> {
  if (domain.startsWith('[')) return literal(domain)
  try {
    const hosts = await exchangers(domain, given)
    if (hosts === 'refused') return none(true, '5.1.10', `${domain} takes no mail (null MX)`)
    if (hosts.length === 0) return none(true, '5.4.6', `mail for ${domain} loops back to this server`)
    const hops: Hop[] = []
    let failure: unknown
    for (const host of hosts) {
      if (hops.length >= hopsMax) break
      try {
        hops.push(...(await addresses(host, given.resolver)).map((address) => ({ host, address })))
      } catch (error) {
        failure = error
      }
    }
    if (hops.length > 0) return { kind: 'hops', hops: hops.slice(0, hopsMax) }
    throw failure
  } catch (error) {
    const { code } = error as { readonly code?: string }
    if (code !== undefined && absent.has(code)) return none(true, '5.1.2', `${domain} has no host that takes mail`)
    return none(false, '4.4.3', `the name server could not tell where mail of ${domain} goes (${code ?? String(error)})`)
  }
}

const none = (permanent: boolean, enhanced: string, text: string): Route => ({ kind: 'none', permanent, enhanced, text })

function literal(domain: string): Route {
  const address = domain.slice(1, -1).replace(/^IPv6:/i, '')
  return isIP(address) === 0 ? none(true, '5.1.2', `${domain} is no address`) : { kind: 'hops', hops: [{ host: address, address }] }
}

async function exchangers(
  domain: string,
  { resolver, own, random }: { readonly resolver: Resolver; readonly own: ReadonlySet<string>; readonly random: () => number },
): Promise<readonly string[] | 'refused'> {
  const found = await resolver.resolveMx(domain).catch((error: { readonly code?: string }) => {
    if (error.code === 'ENODATA') return []
    throw error
  })
  if (found.length === 0) return [domain]
  if (found.length === 1 && ['', '.'].includes(found[0]?.exchange ?? '')) return 'refused'
  const hosts = found.map(({ exchange, priority }) => ({ host: exchange.toLowerCase().replace(/\.$/, ''), priority, order: random() }))
  const ownPriority = Math.min(...hosts.filter(({ host }) => own.has(host)).map(({ priority }) => priority))
  return hosts
    .filter(({ priority }) => priority < ownPriority)
    .sort((left, right) => left.priority - right.priority || left.order - right.order)
    .map(({ host }) => host)
}

/** Both families; what one cannot tell is no loss when the other can. */
async function addresses(host: string, resolver: Resolver): Promise<readonly string[]> {
  const [six, four] = await Promise.allSettled([resolver.resolve6(host), resolver.resolve4(host)])
  const found = [...(four.status === 'fulfilled' ? four.value : []), ...(six.status === 'fulfilled' ? six.value : [])]
  if (found.length > 0) return found
  // "It has none" of one family says nothing while the other could not be asked.
  const failures = [four, six].flatMap((result) => (result.status === 'rejected' ? [result.reason as { readonly code?: string }] : []))
  throw failures.find(({ code }) => !absent.has(code ?? '')) ?? failures[0] ?? Object.assign(new Error('no address'), { code: 'ENODATA' })
}
