import type { Resolver } from 'node:dns/promises'
import { Readable } from 'node:stream'
import { type AuthenticateResult, authenticate } from 'mailauth'
import { boundedResolver } from './bounded-resolver.ts'

/** What is known of a message that another server offers. */
export interface Offer {
  readonly remoteAddress: string
  /** What the client called itself in EHLO. */
  readonly helo: string
  /** Reverse path; '' is the null sender. */
  readonly from: string
  readonly content: Buffer
}

export interface Verdict {
  /** Authentication-Results (RFC 8601) and Received-SPF (RFC 7208 §9.1), ready to be put in front of the message. */
  readonly header: string
  /** The domain whose DMARC policy asks for the message to be refused; `certain` unless a name server did not answer. */
  readonly refusal?: { readonly domain: string; readonly certain: boolean }
}

export interface VerifierOptions {
  readonly resolver: Pick<Resolver, 'resolve'>
  /** Our authserv-id. */
  readonly name: string
  /** All lookups of a message together. */
  readonly timeoutMs: number
  /** Lower-case domains of forwarders whose ARC seals are believed. */
  readonly trustedSealers: readonly string[]
}

const pieceBytes = 64 * 1024
const headerCharactersMax = 16_384
const unknown = (name: string) => `Authentication-Results: ${name}; dmarc=temperror\r\n`

/**
 * SPF (RFC 7208), DKIM (RFC 6376), ARC (RFC 8617) and DMARC (RFC 7489) of a message. Total: what cannot be found out is a temporary
 * error in the results, and no reason to refuse.
 */
export async function verify(offer: Offer, { resolver, name, timeoutMs, trustedSealers }: VerifierOptions): Promise<Verdict> {
  try {
    const results = await authenticate(Readable.from(pieces(offer.content)), {
      ip: offer.remoteAddress,
      helo: offer.helo,
      sender: offer.from,
      mta: name,
      resolver: boundedResolver(resolver, performance.now() + timeoutMs),
      disableBimi: true,
    })
    const { dmarc } = results
    const header = asFields(results.headers, name)
    const isRefused = dmarc && dmarc.status.result === 'fail' && dmarc.policy === 'reject' && !isVouchedFor(results, trustedSealers)
    return isRefused ? { header, refusal: { domain: dmarc.domain, certain: !isUncertain(results) } } : { header }
  } catch {
    return { header: unknown(name) }
  }
}

/** Forwarders break signatures; one that the operator trusts has told in its seal what it found (RFC 8617 §7). */
function isVouchedFor({ arc }: AuthenticateResult, trustedSealers: readonly string[]): boolean {
  const sealer = arc && arc.status.result === 'pass' && arc.signature ? arc.signature.signingDomain : undefined
  return sealer !== undefined && trustedSealers.includes(sealer.toLowerCase())
}

/** Whether what could have passed could not be asked: then "fail" is not known yet (RFC 7489 §6.6.2). Only what is aligned could have. */
function isUncertain({ dkim, spf, dmarc }: AuthenticateResult): boolean {
  const domain = dmarc ? dmarc.domain : ''
  const isTemporary = (result: string) => result.startsWith('temperr')
  const isAligned = (name: string) => name === domain || name.endsWith(`.${domain}`)
  return (
    dkim.results.some(({ status, signingDomain }) => isTemporary(status.result) && isAligned(signingDomain.toLowerCase())) ||
    (spf !== false && isTemporary(spf.status.result) && isAligned(spf.domain.toLowerCase()))
  )
}

/** What comes from a message goes into a header again: nothing of it may begin a line, or another message. */
function asFields(text: string, name: string): string {
  const lines = text.split('\r\n')
  const isSound = lines.pop() === '' && lines.every((line) => /^(?:[A-Za-z-]+:|[ \t]+)[ \t]*[^\s\0][^\r\n\0]*$/.test(line))
  return isSound && text.length <= headerCharactersMax ? text : unknown(name)
}

function* pieces(content: Buffer): Generator<Buffer> {
  for (let at = 0; at < content.length; at += pieceBytes) yield content.subarray(at, at + pieceBytes)
}
