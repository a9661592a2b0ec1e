import { authenticate } from './authenticate.ts'
import { capabilities } from './capabilities.ts'
import { type Command, stringOf } from './command.ts'
import { type RawCommand, SyntaxFault } from './command-reader.ts'
import { Refusal, refusals } from './reply.ts'
import { scriptCommands } from './script-commands.ts'
import type { Session } from './session.ts'

/** @throws Refusal, SyntaxFault when this is not a command that may be given now */
export function permitted(session: Session, { name, args }: RawCommand): Command {
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (command === undefined) throw new SyntaxFault('Unknown command')
  if (command.state === 'loggedIn' && !session.owner) throw refusals.loginFirst()
  if (command.state === 'notLoggedIn' && session.owner) throw refusals.loggedIn()
  if (args.length < command.argsMin || args.length > command.argsMax) throw new SyntaxFault(`Wrong number of arguments for ${name}`)
  return command
}

const startTls: Command = {
  state: 'notLoggedIn',
  argsMin: 0,
  argsMax: 0,
  async run(session) {
    if (session.secure) throw refusals.tlsActive()
    if (!session.mayStartTls) throw new Refusal('No certificate is configured')
    await session.startTls({ condition: 'OK', text: 'Begin TLS negotiation now' })
    // RFC 5804 §2.2: again, since those before might have been forged.
    session.write(capabilities(session))
    return { condition: 'OK', text: 'TLS is active' }
  },
}

const unauthenticate: Command = {
  state: 'loggedIn',
  argsMin: 0,
  argsMax: 0,
  async run(session) {
    session.logOut()
    return { condition: 'OK', text: 'Logged out, the connection goes on' }
  },
}

const commands: Readonly<Record<string, Command>> = {
  ...scriptCommands,
  AUTHENTICATE: { state: 'notLoggedIn', argsMin: 1, argsMax: 2, run: authenticate },
  STARTTLS: startTls,
  UNAUTHENTICATE: unauthenticate,
  CAPABILITY: {
    state: 'any',
    argsMin: 0,
    argsMax: 0,
    async run(session) {
      session.write(capabilities(session))
      return { condition: 'OK' }
    },
  },
  LOGOUT: {
    state: 'any',
    argsMin: 0,
    argsMax: 0,
    async run(session) {
      session.end()
      return { condition: 'OK', text: 'Logging out' }
    },
  },
  NOOP: {
    state: 'any',
    argsMin: 0,
    argsMax: 1,
    async run(_session, [tag]) {
      return { condition: 'OK', ...(tag ? { code: 'TAG', codeValue: stringOf(tag) } : {}), text: 'Done' }
    },
  },
}
