import { refusals } from './reply.ts'

export interface Credentials {
  readonly username: string
  readonly password: string
}

/** Asks the client with 334 and gives its response, decoded. @throws Refusal when it cancels or does not answer in base64 */
export type Ask = (challenge: string) => Promise<Buffer>

/** SASL mechanisms by their names. `initial` is the initial response, if there was one. */
export const mechanisms: Readonly<Record<string, (ask: Ask, initial: Buffer | undefined) => Promise<Credentials>>> = {
  /** RFC 4616: [authzid] NUL authcid NUL passwd. To act for somebody else is not offered. */
  async PLAIN(ask, initial) {
    const parts = (initial ?? (await ask(''))).toString('utf8').split('\0')
    const [actFor, username, password] = parts
    if (parts.length !== 3 || actFor === undefined || username === undefined || password === undefined) throw refusals.badBase64()
    if (actFor !== '' && actFor !== username) throw refusals.badCredentials()
    return { username, password }
  },
  /** draft-murchison-sasl-login. */
  async LOGIN(ask, initial) {
    const username = (initial ?? (await ask('Username:'))).toString('utf8')
    const password = (await ask('Password:')).toString('utf8')
    return { username, password }
  },
}

/** RFC 4954 §4: `=` is an initial response that is there and empty, `*` takes the command back. */
export function decodeInitial(text: string | undefined): Buffer | undefined {
  return text === undefined ? undefined : text === '=' ? Buffer.alloc(0) : decodeResponse(text)
}

/** @throws Refusal 501 */
export function decodeResponse(text: string): Buffer {
  if (text === '*') throw refusals.authenticationCancelled()
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) throw refusals.badBase64()
  return Buffer.from(text, 'base64')
}
