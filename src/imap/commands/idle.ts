import type { CommandDefinition } from '../command-table.ts'
import { SyntaxFault } from '../cursor.ts'
import type { Session } from '../session.ts'

export const idleCommand: readonly (readonly [string, CommandDefinition])[] = [
  ['IDLE', { state: 'authenticated', expunges: true, waits: true, parse: (_cursor, session) => () => idle(session) }],
]

/** Even if the store never speaks up, changes are found. */
const lookAgainMs = 30_000

/**
 * RFC 2177. Each round tells everything since the state of the view, so a round that fails halfway or a change that comes during one is
 * made up for by the next. A database that is away just makes the round long.
 */
async function idle(session: Session): Promise<string> {
  session.out.line('+ idling')
  session.out.send()
  const ended = new AbortController()
  const line = session.continuationLine().finally(() => ended.abort())
  while (!ended.signal.aborted && session.end === undefined) {
    if (session.selected) await session.update(true)
    await session.out.flush()
    await session.interrupted(lookAgainMs, ended.signal)
  }
  // The server is going: the line that is still awaited will not be read, its BYE follows.
  if (session.end !== undefined && !ended.signal.aborted) return 'OK IDLE terminated'
  const said = await line
  if (said === undefined || said.toUpperCase() !== 'DONE') throw new SyntaxFault('Expected DONE')
  return 'OK IDLE terminated'
}
