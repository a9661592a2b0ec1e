import { type Reply, refusals } from './reply.ts'
import type { Session } from './session.ts'

export interface Command {
  /** What must have been said before. BDAT asks for nothing: its octets are read in any case. */
  readonly needs: 'nothing' | 'hello' | 'mail'
  /** Before the login where one is wanted (RFC 4954 §6), and before TLS (RFC 3207 §4). */
  readonly beforeLogin: 'allowed' | 'refused'
  /** @returns the replies that are still to be given. @throws Refusal */
  readonly run: (session: Session, argument: string) => Promise<readonly Reply[]>
}

/** @throws Refusal 501 */
export function requireNoArgument(verb: string, argument: string): void {
  if (argument !== '') throw refusals.badArguments(verb)
}

/** The reply for an action that is done. */
export function done(enhanced: string, text: string): readonly Reply[] {
  return [{ code: 250, enhanced, text }]
}
