import { Resolver } from 'node:dns/promises'
import { BlockList, isIPv6 } from 'node:net'
import { verify } from '../../authenticity/verify.ts'
import type { Verify } from '../../smtp/surroundings.ts'
import type { MailboxServiceOptions } from './options.ts'

/** Verifies mail of other servers as the configuration says; undefined: not at all. `server`: our authserv-id. */
export function verifierOf(server: string, options: Pick<MailboxServiceOptions, 'inbound' | 'nameServers'>): Verify | undefined {
  const { inbound, nameServers } = options
  if (inbound.verify === 'off') return undefined
  const resolver = resolverOf(nameServers)
  const trusted = new BlockList()
  for (const network of inbound.trustedNetworks) {
    const [address = '', bits = ''] = network.split('/')
    trusted.addSubnet(address, Number(bits), isIPv6(address) ? 'ipv6' : 'ipv4')
  }
  return async (offer) => {
    const remoteAddress = offer.remoteAddress.replace(/^::ffff:/, '')
    if (trusted.check(remoteAddress, isIPv6(remoteAddress) ? 'ipv6' : 'ipv4')) return { header: '' }
    const verdict = await verify({ ...offer, remoteAddress }, { resolver, name: server, timeoutMs: inbound.timeoutMs, trustedSealers: inbound.trustedSealers })
    return inbound.verify === 'mark' ? { header: verdict.header } : verdict
  }
}

/** @throws when an address is none */
export function resolverOf(nameServers: readonly string[]): Resolver {
  const resolver = new Resolver({ timeout: 3000, tries: 2 })
  if (nameServers.length > 0) resolver.setServers(nameServers)
  return resolver
}
