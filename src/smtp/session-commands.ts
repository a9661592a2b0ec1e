import { isHelloName } from './address.ts'
import { type Credentials, decodeInitial, decodeResponse, mechanisms } from './auth.ts'
import { capabilities } from './capabilities.ts'
import { type Command, done, requireNoArgument } from './command.ts'
import { Refusal, type Reply, refusals } from './reply.ts'
import type { Session } from './session.ts'
import type { Hello } from './transaction.ts'

function hello(verb: Hello['verb']): Command {
  return {
    needs: 'nothing',
    beforeLogin: 'allowed',
    async run(session, name) {
      if (!isHelloName(name)) throw refusals.badHello(verb)
      session.state = { kind: 'greeted', hello: { verb, name } }
      return [{ code: 250, text: [session.surroundings.name, ...(verb === 'HELO' ? [] : capabilities(session))] }]
    },
  }
}

const startTls: Command = {
  needs: 'hello',
  beforeLogin: 'allowed',
  async run(session, argument) {
    requireNoArgument('STARTTLS', argument)
    if (session.secure) throw refusals.outOfSequence('TLS is active already')
    await session.startTls({ code: 220, enhanced: '2.0.0', text: 'Ready to start TLS' })
    return []
  },
}

const auth: Command = {
  needs: 'hello',
  beforeLogin: 'allowed',
  async run(session, argument) {
    if (session.submitter) throw refusals.outOfSequence('Already logged in')
    if (session.state.kind === 'mail') throw refusals.outOfSequence('Not within a mail transaction')
    const [, name, initial] = /^([A-Za-z0-9_-]+)(?: +(\S+))?$/.exec(argument) ?? []
    if (name === undefined) throw refusals.badArguments('AUTH mechanism [initial-response]')
    const mechanism = Object.hasOwn(mechanisms, name.toUpperCase()) ? mechanisms[name.toUpperCase()] : undefined
    if (!mechanism) throw refusals.unknownMechanism()
    if (!session.mayLogin) throw refusals.encryptionRequired()
    const ask = async (challenge: string) => {
      session.say({ code: 334, text: Buffer.from(challenge).toString('base64') })
      return decodeResponse(await session.responseLine())
    }
    return logIn(session, () => mechanism(ask, decodeInitial(initial)))
  },
}

async function logIn(session: Session, exchange: () => Promise<Credentials>): Promise<readonly Reply[]> {
  try {
    const { username, password } = await exchange()
    session.submitter = await verified(session, username, password)
    return [{ code: 235, enhanced: '2.7.0', text: 'Authentication successful' }]
  } catch (error) {
    if (!(error instanceof Refusal) || error.reply.code !== 535) throw error
    if (++session.failedLogins < session.surroundings.limits.failedLoginsMax) throw error
    session.say(error.reply)
    throw refusals.tooManyLogins()
  }
}

async function verified(session: Session, username: string, password: string) {
  const { delivery, log, role } = session.surroundings
  // A password has no NUL (RFC 4616 §2), and text in PostgreSQL neither.
  if (`${username}${password}`.includes('\0') || username === '') throw refusals.badCredentials()
  const submitter = await delivery.authenticate(username, password).catch((err: unknown) => {
    log.error({ role, err }, 'smtp: a login could not be checked')
    throw new Refusal(454, '4.7.0', 'Temporary authentication failure')
  })
  if (!submitter) throw refusals.badCredentials()
  return submitter
}

const reset: Command = {
  needs: 'nothing',
  beforeLogin: 'allowed',
  async run(session, argument) {
    requireNoArgument('RSET', argument)
    session.reset()
    return done('2.0.0', 'Reset')
  },
}

const noop: Command = { needs: 'nothing', beforeLogin: 'allowed', run: async () => done('2.0.0', 'OK') }

const quit: Command = {
  needs: 'nothing',
  beforeLogin: 'allowed',
  async run(session, argument) {
    requireNoArgument('QUIT', argument)
    session.end()
    return [{ code: 221, enhanced: '2.0.0', text: 'Bye' }]
  },
}

/** RFC 5321 §3.5.3, §7.3: who has a mailbox here is not told to everybody. */
const verify: Command = {
  needs: 'nothing',
  beforeLogin: 'refused',
  async run(_session, argument) {
    if (argument === '') throw refusals.badArguments('VRFY string')
    return [{ code: 252, enhanced: '2.0.0', text: 'Cannot verify here, but RCPT tells' }]
  },
}

const help: Command = {
  needs: 'nothing',
  beforeLogin: 'allowed',
  run: async ({ surroundings: { role } }) => {
    const verbs = role === 'lmtp' ? 'LHLO' : role === 'submission' ? 'EHLO HELO AUTH' : 'EHLO HELO'
    return [{ code: 214, enhanced: '2.0.0', text: ['Commands:', `${verbs} STARTTLS MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT`] }]
  },
}

export const sessionCommands: Readonly<Record<string, Command>> = {
  HELO: hello('HELO'),
  EHLO: hello('EHLO'),
  LHLO: hello('LHLO'),
  STARTTLS: startTls,
  AUTH: auth,
  RSET: reset,
  NOOP: noop,
  QUIT: quit,
  VRFY: verify,
  HELP: help,
}
