import { createPublicKey, generateKeyPair } from 'node:crypto'
import { promisify } from 'node:util'
import { dkimSign } from 'mailauth'

export type SigningAlgorithm = 'rsa-sha256' | 'ed25519-sha256'

/** A key that signs the mail of a domain (RFC 6376). */
export interface SigningKey {
  readonly domain: string
  readonly selector: string
  readonly algorithm: SigningAlgorithm
  /** PKCS #8, PEM. */
  readonly privateKey: string
}

const generate = promisify(generateKeyPair)

/** RFC 8301 §3.2 asks for 2048 bits; RFC 8463 for the other. */
export async function newPrivateKey(algorithm: SigningAlgorithm): Promise<string> {
  const { privateKey } = algorithm === 'ed25519-sha256' ? await generate('ed25519') : await generate('rsa', { modulusLength: 2048 })
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
}

/** The TXT record by which others verify (RFC 6376 §3.6.1, RFC 8463 §3). */
export function publicRecord({ domain, selector, algorithm, privateKey }: SigningKey): { readonly name: string; readonly text: string } {
  const key = createPublicKey(privateKey)
  const spki = key.export({ type: 'spki', format: 'der' })
  // RFC 8463 §4: of Ed25519 the bare key, the last 32 bytes.
  const p = algorithm === 'ed25519-sha256' ? spki.subarray(-32) : spki
  return { name: `${selector}._domainkey.${domain}`, text: `v=DKIM1; k=${algorithm === 'ed25519-sha256' ? 'ed25519' : 'rsa'}; p=${p.toString('base64')}` }
}

/** @returns DKIM-Signature, one for each key, to be put in front of the message; its line ends are taken as they are. @throws when a key is unusable */
export async function signatures(message: Buffer, keys: readonly SigningKey[], at: Date): Promise<string> {
  if (keys.length === 0) return ''
  const { signatures: text, errors } = await dkimSign(message, {
    signTime: at,
    signatureData: keys.map(({ domain, selector, algorithm, privateKey }) => ({ signingDomain: domain, selector, algorithm, privateKey })),
  } as never)
  if (errors.length > 0) throw errors[0]
  return text
}
