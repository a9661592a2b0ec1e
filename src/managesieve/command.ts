import { scriptName } from '../filter/script-name.ts'
import { type Argument, SyntaxFault } from './command-reader.ts'
import { decode, Refusal, type Reply } from './reply.ts'
import type { Session } from './session.ts'

export interface Command {
  /** RFC 5804 §2. */
  readonly state: 'any' | 'loggedIn' | 'notLoggedIn'
  readonly argsMin: number
  readonly argsMax: number
  run(session: Session, args: readonly Argument[]): Promise<Reply>
}

/** @throws SyntaxFault when it is a number, Refusal when it was too long to be kept */
export function stringOf(argument: Argument | undefined): Buffer {
  if (argument?.kind === 'oversized') throw new Refusal(`A string of ${argument.octets} octets is too long here`)
  if (argument?.kind !== 'string') throw new SyntaxFault('A string is wanted here')
  return argument.bytes
}

/** @throws SyntaxFault when it is a string */
export function numberOf(argument: Argument | undefined): number {
  if (argument?.kind !== 'number') throw new SyntaxFault('A number is wanted here')
  return argument.value
}

/** The name of a script. @throws SyntaxFault, Refusal, HandoffError SIEVE_SCRIPT_NAME_INVALID */
export function nameOf(argument: Argument | undefined): string {
  return scriptName(textOf(argument))
}

/** @throws SyntaxFault, Refusal */
export function textOf(argument: Argument | undefined): string {
  const text = decode(stringOf(argument))
  if (text === undefined) throw new Refusal('Not UTF-8')
  return text
}
