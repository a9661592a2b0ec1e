import { createHmac, randomBytes, type ScryptOptions, scrypt as scryptCallback, timingSafeEqual } from 'node:crypto'

const cost = { ln: 14, r: 8, p: 1 } as const
const keyBytes = 32
const rememberedMax = 20_000

/** `$scrypt$ln=14,r=8,p=1$salt$hash`: says how it was made, so that another way can come after it. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16)
  const hash = await scrypt(password, salt, cost)
  return `$scrypt$ln=${cost.ln},r=${cost.r},p=${cost.p}$${salt.toString('base64')}$${hash.toString('base64')}`
}

/** False also for a hash of a kind that is not known. */
export async function verifyPassword(password: string, stored: string): Promise<boolean> {
  const match = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+)$/.exec(stored)
  if (!match) return false
  const [ln, r, p] = match.slice(1, 4).map(Number) as [number, number, number]
  if (ln > 18 || r > 16 || p > 16) return false
  const wanted = Buffer.from(match[5] as string, 'base64')
  const found = await scrypt(password, Buffer.from(match[4] as string, 'base64'), { ln, r, p })
  return wanted.length === found.length && timingSafeEqual(wanted, found)
}

function scrypt(password: string, salt: Buffer, { ln, r, p }: { readonly ln: number; readonly r: number; readonly p: number }): Promise<Buffer> {
  const options: ScryptOptions = { N: 2 ** ln, r, p, maxmem: 256 * 2 ** ln * r }
  // RFC 8265 §4: one spelling of what is typed.
  const text = password.normalize('NFC')
  return new Promise((resolve, reject) => scryptCallback(text, salt, keyBytes, options, (error, key) => (error ? reject(error) : resolve(key))))
}

/**
 * Passwords that were right lately, so that a client's every connection does not cost the scrypt. Kept as a MAC under a key that never
 * leaves this process, over password and stored hash: a changed password is a miss.
 */
export class VerifiedPasswords {
  readonly #key = randomBytes(32)
  readonly #known = new Set<string>()
  /** Verified against when there is no such account: the answer takes the same time. */
  readonly #nobody = hashPassword(randomBytes(16).toString('hex'))

  async verify(password: string, stored: string | undefined): Promise<boolean> {
    if (stored === undefined) {
      await verifyPassword(password, await this.#nobody)
      return false
    }
    const mac = createHmac('sha256', this.#key).update(stored).update('\0').update(password.normalize('NFC')).digest('base64')
    if (this.#known.has(mac)) return true
    if (!(await verifyPassword(password, stored))) return false
    if (this.#known.size >= rememberedMax) this.#known.delete(this.#known.values().next().value as string)
    this.#known.add(mac)
    return true
  }
}
