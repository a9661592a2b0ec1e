import { domainToASCII } from 'node:url'
import type { ListenerProtocol } from '../mount/mounts.ts'

/** A clustered mailbox server as its clients meet it. */
export interface ReachableServer {
  readonly name: string
  /** DNS name of its virtual address, where one was given. */
  readonly hostName?: string | undefined
  readonly ports: { readonly [P in ListenerProtocol]?: number | undefined }
}

/** One way to read or to submit mail. */
export interface Access {
  readonly kind: 'imap' | 'smtp'
  readonly hostName: string
  readonly port: number
  readonly tls: 'implicit' | 'starttls'
}

const ways = [
  ['imaps', 'imap', 'implicit'],
  ['imap', 'imap', 'starttls'],
  ['submissions', 'smtp', 'implicit'],
  ['submission', 'smtp', 'starttls'],
] as const

/** What a mail client may use, the preferred of each kind first: TLS from the start (RFC 8314 §3). */
export function accessesOf(server: ReachableServer, domain: string): readonly Access[] {
  const hostName = hostNameOf(server, domain)
  return ways.flatMap(([protocol, kind, tls]) => {
    const port = server.ports[protocol]
    return port === undefined ? [] : [{ kind, hostName, port, tls }]
  })
}

/** The name that was given to the server; without one its own name, in the domain of the mailbox unless it is a domain name by itself. */
export function hostNameOf({ name, hostName }: ReachableServer, domain: string): string {
  return hostName ?? (name.includes('.') ? name : `${name}.${domainToASCII(domain) || domain}`)
}
