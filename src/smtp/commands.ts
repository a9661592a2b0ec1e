import type { Command } from './command.ts'
import { mailCommands } from './mail-commands.ts'
import { refusals } from './reply.ts'
import type { Session } from './session.ts'
import { sessionCommands } from './session-commands.ts'

const commands = new Map(Object.entries({ ...sessionCommands, ...mailCommands }))

/** Known, and not done here: RFC 5321 §4.2.4 gives them 502. */
const notImplemented = new Set(['EXPN', 'TURN', 'SEND', 'SOML', 'SAML', 'ETRN', 'ATRN', 'BURL'])

/** A browser that was made to speak to this port; its body would be commands. */
const otherProtocols = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'CONNECT'])

/** The command that may be carried out in the session's state. @throws Refusal */
export function permitted(session: Session, verb: string): Command {
  const { surroundings, state } = session
  if (otherProtocols.has(verb)) throw refusals.notOurProtocol()
  if (notImplemented.has(verb) || isNotOffered(session, verb)) throw refusals.notImplemented(verb)
  const command = commands.get(verb)
  const isOthersHello = surroundings.role === 'lmtp' ? verb === 'HELO' || verb === 'EHLO' : verb === 'LHLO'
  if (!command || isOthersHello) throw refusals.unknownCommand()
  if (command.needs !== 'nothing' && state.kind === 'new') throw refusals.outOfSequence(`${surroundings.role === 'lmtp' ? 'LHLO' : 'EHLO'} first`)
  if (command.beforeLogin === 'refused' && surroundings.role === 'submission' && !session.submitter)
    throw session.mayLogin ? refusals.authenticationRequired() : refusals.tlsRequired()
  if (command.needs === 'mail' && state.kind !== 'mail') throw refusals.outOfSequence('MAIL first')
  return command
}

function isNotOffered({ surroundings }: Session, verb: string): boolean {
  return (verb === 'AUTH' && surroundings.role !== 'submission') || (verb === 'STARTTLS' && surroundings.secureContext === undefined)
}
