import { isIPv6 } from 'node:net'
import { domainToASCII } from 'node:url'
import { hostNameOf, type ReachableServer } from './access.ts'
import type { ListenerProtocol } from '../mount/mounts.ts'

export interface ZoneOptions {
  readonly domain: string
  readonly server: ReachableServer
  /** Virtual addresses. */
  readonly addresses: readonly string[]
  /** From which mail for other servers may come: those of the nodes. */
  readonly senderAddresses: readonly string[]
}

/** RFC 6186, RFC 8314 §5.1, RFC 5804 §1.8; a service with TLS from the start goes before the one with STARTTLS. */
const services: readonly (readonly [service: string, protocol: ListenerProtocol, priority: number])[] = [
  ['_imaps', 'imaps', 0],
  ['_imap', 'imap', 10],
  ['_submissions', 'submissions', 0],
  ['_submission', 'submission', 10],
  ['_sieve', 'sieve', 0],
]

/** What the domain's DNS zone should have for mail, as text of a zone file: what is needed, and suggestions to be looked at. */
export function zoneOf(options: ZoneOptions): string {
  const { server, addresses } = options
  const domain = domainToASCII(options.domain) || options.domain
  const host = `${hostNameOf(server, domain)}.`
  const { ports } = server
  return [
    `; mail of ${domain} on ${server.name}`,
    `$ORIGIN ${domain}.`,
    '',
    '; the virtual address, which moves with the server',
    ...addresses.map((address) => record(host, isIPv6(address) ? 'AAAA' : 'A', address)),
    ...addresses.map((address) => `; and, where the address is delegated: ${address} PTR ${host}`),
    '',
    ...mailExchange(ports.smtp, host),
    '',
    '; clients find the server by an address alone (RFC 6186, RFC 8314)',
    ...services.map(([service, protocol, priority]) => serviceRecord(`${service}._tcp`, host, { port: ports[protocol], priority })),
    // RFC 6186 §3.4: clients are told that they need not look for these.
    ...['_pop3', '_pop3s'].map((service) => serviceRecord(`${service}._tcp`, host, { port: undefined, priority: 0 })),
    '',
    ...discovery(ports, host),
    ...policies(options, { domain, host }),
    '',
  ].join('\n')
}

function mailExchange(port: number | undefined, host: string): readonly string[] {
  if (port === 25) return ['; other servers deliver here', record('@', 'MX', `10 ${host}`)]
  return [`; no MX: other servers deliver to port 25, and this server takes mail of theirs on ${port === undefined ? 'no port' : `port ${port}`}`]
}

function serviceRecord(name: string, host: string, { port, priority }: { readonly port: number | undefined; readonly priority: number }): string {
  // RFC 2782: a target of "." says that the service is decidedly not there.
  return record(name, 'SRV', port === undefined ? '0 0 0 .' : `${priority} 1 ${port} ${host}`)
}

/** Mozilla's autoconfig and Outlook's autodiscover look for these names. */
function discovery({ http, https }: ReachableServer['ports'], host: string): readonly string[] {
  if (http === undefined && https === undefined) return []
  return [
    '; mail clients that ask for their settings over HTTP: on port 443 the certificate has to have these names, too',
    record('autoconfig', 'CNAME', host),
    record('autodiscover', 'CNAME', host),
    ...(https === undefined ? [] : [serviceRecord('_autodiscover._tcp', host, { port: https, priority: 0 })]),
    '',
  ]
}

function policies({ senderAddresses }: ZoneOptions, { domain, host }: { readonly domain: string; readonly host: string }): readonly string[] {
  const senders = senderAddresses.map((address) => `ip${isIPv6(address) ? 6 : 4}:${address}`)
  return [
    '; suggestions: who sends for the domain (SPF, RFC 7208: the nodes, or what stands between them and the world), and what others do with',
    '; the rest (DMARC, RFC 7489). Make them strict (-all, p=quarantine) when the reports show nothing of yours',
    record('@', 'TXT', text(['v=spf1', 'mx', ...senders, '~all'].join(' '))),
    record('_dmarc', 'TXT', text(`v=DMARC1; p=none; rua=mailto:postmaster@${domain}`)),
    '; MTA-STS (RFC 8461), once a web server has the policy "version: STSv1", "mode: testing", "mx: ' + host.slice(0, -1) + '", "max_age: 86400", a line each,',
    `; at https://mta-sts.${domain}/.well-known/mta-sts.txt, and the certificate of ${host.slice(0, -1)} is a public one:`,
    `; ${record('_mta-sts', 'TXT', text('v=STSv1; id=1'))}`,
    `; ${record('_smtp._tls', 'TXT', text(`v=TLSRPTv1; rua=mailto:postmaster@${domain}`))}`,
  ]
}

const stringBytesMax = 255

/** RFC 1035 §3.3: a TXT record is made of strings of at most 255 octets. */
function text(value: string): string {
  const strings: string[] = []
  for (let at = 0; at < value.length; at += stringBytesMax) strings.push(`"${value.slice(at, at + stringBytesMax)}"`)
  return strings.join(' ')
}

function record(name: string, type: string, value: string): string {
  return `${name.padEnd(24)} IN ${type.padEnd(5)} ${value}`
}
