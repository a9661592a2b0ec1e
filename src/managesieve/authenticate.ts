import { stringOf } from './command.ts'
import type { Argument } from './command-reader.ts'
import { type Reply, refusals } from './reply.ts'
import type { Session } from './session.ts'
import type { Owner } from './surroundings.ts'

interface Credentials {
  readonly actFor: string
  readonly username: string
  readonly password: string
}

/** RFC 5804 §2.1, with PLAIN (RFC 4616). To act for somebody else is not offered. */
export async function authenticate(session: Session, [mechanism, initial]: readonly Argument[]): Promise<Reply> {
  if (stringOf(mechanism).toString('latin1').toUpperCase() !== 'PLAIN') throw refusals.unknownMechanism()
  if (!session.mayLogin) throw refusals.encryptionNeeded()
  const credentials = credentialsOf(stringOf(initial ?? (await session.challenge())).toString('latin1'))
  const { throttle, log } = session.surroundings
  const owner = await ownerOf(session, credentials)
  const fields = { username: credentials.username, peer: session.peer }
  if (owner) {
    throttle.succeeded(session.peer)
    session.logIn(owner)
    log.info(fields, 'managesieve: logged in')
    return { condition: 'OK', text: 'Logged in' }
  }
  log.info(fields, 'managesieve: login refused')
  await session.pause(throttle.failed(session.peer))
  throw session.countFailedLogin() ? refusals.tooManyLogins() : refusals.badCredentials()
}

/** @throws Refusal */
function credentialsOf(response: string): Credentials {
  if (response === '*') throw refusals.cancelled()
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(response)) throw refusals.badResponse()
  const parts = Buffer.from(response, 'base64').toString('utf8').split('\0')
  const [actFor, username, password] = parts
  if (parts.length !== 3 || actFor === undefined || !username || password === undefined) throw refusals.badResponse()
  return { actFor, username, password }
}

async function ownerOf(session: Session, { actFor, username, password }: Credentials): Promise<Owner | undefined> {
  const owner = await session.surroundings.login(username, password)
  return owner && ['', username, owner.address].includes(actFor) ? owner : undefined
}
