import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { hostNameOf, type ReachableServer } from './access.ts'
import { autoconfig } from './autoconfig.ts'
import { discoverFailure, discoverSettings, readDiscoverRequest } from './autodiscover.ts'

/** What the answers are made of, handed in by the daemon. */
export interface Discovery {
  /** The server that is asked, as the mounts say now. */
  readonly server: () => ReachableServer | undefined
  readonly isLocalDomain: (domain: string) => Promise<boolean>
}

const bodyBytesMax = 16 * 1024

/** How mail clients find the settings by an address alone: Mozilla's autoconfig and Outlook's autodiscover. */
export function autodiscoveryRoutes(app: FastifyInstance, discovery: Discovery): void {
  for (const path of ['/.well-known/autoconfig/mail/config-v1.1.xml', '/mail/config-v1.1.xml'])
    app.get<{ Querystring: Record<string, unknown> }>(path, (request, reply) => answerAutoconfig(discovery, request, reply))
  // Fastify knows no XML, and other routes are not to learn it.
  void app.register(async (scope) => {
    scope.addContentTypeParser('*', { parseAs: 'string', bodyLimit: bodyBytesMax }, (_request, body, done) => done(null, body))
    const path = `/:directory(^${anyCase('autodiscover')}$)/:file(^${anyCase('autodiscover')}[.]${anyCase('xml')}$)`
    scope.post(path, { bodyLimit: bodyBytesMax }, (request, reply) => answerAutodiscover(discovery, request, reply))
    scope.get(path, (request, reply) => redirectToTls(discovery, request, reply))
  })
}

async function answerAutoconfig(
  discovery: Discovery,
  request: FastifyRequest<{ Querystring: Record<string, unknown> }>,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const address = request.query.emailaddress
  const domain = typeof address === 'string' ? domainOf(address) : request.hostname.replace(/^autoconfig\./i, '').toLowerCase()
  const server = discovery.server()
  if (server === undefined || domain === undefined || !(await discovery.isLocalDomain(domain)))
    return reply.code(404).type('text/plain').send('No mail of this domain here\n')
  return reply.type('text/xml; charset=utf-8').send(autoconfig(server, domain))
}

/** Refusals are 200, too: the code is inside (MS-OXDSCLI §2.2.4). */
async function answerAutodiscover(discovery: Discovery, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  reply.type('text/xml; charset=utf-8')
  const wanted = readDiscoverRequest(typeof request.body === 'string' ? request.body : '')
  if (wanted.kind !== 'settings') return reply.send(discoverFailure(wanted.kind, new Date()))
  const domain = domainOf(wanted.address)
  const server = discovery.server()
  if (server === undefined || domain === undefined || !(await discovery.isLocalDomain(domain))) return reply.send(discoverFailure('unknownAddress', new Date()))
  return reply.send(discoverSettings(server, { address: wanted.address, domain }))
}

/** Outlook asks by GET only without TLS, to be sent to a name whose certificate is right. */
async function redirectToTls(discovery: Discovery, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const server = discovery.server()
  const port = server?.ports.https
  const domain = request.hostname.replace(/^autodiscover\./i, '').toLowerCase()
  const canRedirect = request.protocol === 'http' && server !== undefined && port !== undefined && (await discovery.isLocalDomain(domain))
  if (!canRedirect) return reply.type('text/xml; charset=utf-8').send(discoverFailure('invalid', new Date()))
  const authority = `${hostNameOf(server, domain)}${port === 443 ? '' : `:${port}`}`
  return reply.redirect(`https://${authority}/autodiscover/autodiscover.xml`, 302)
}

/** Lower case; undefined when this is no address. */
function domainOf(address: string): string | undefined {
  return /^[^\s\p{Cc}]{1,256}@([^\s\p{Cc}@]{1,253})$/u.exec(address)?.[1]?.toLowerCase()
}

/** Outlook writes the path in several ways. */
function anyCase(word: string): string {
  return [...word].map((letter) => `[${letter.toUpperCase()}${letter}]`).join('')
}
