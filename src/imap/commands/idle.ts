import type { CommandDefinition } from '../command-table.ts'
import { SyntaxFault } from '../cursor.ts'
import { isGone } from '../refusal.ts'
import type { Session } from '../session.ts'

export const idleCommand: readonly (readonly [string, CommandDefinition])[] = [
  ['IDLE', { state: 'authenticated', expunges: true, waits: true, parse: (_cursor, session) => () => idle(session) }],
]

/** Even if the store never speaks up, changes are found. */
const lookAgainMs = 30_000
const failedPauseMs = 1000

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
    const told = await tell(session)
    await session.out.flush()
    if (told) await session.interrupted(lookAgainMs, ended.signal)
    else await pause(failedPauseMs, ended.signal)
  }
  // The server is going: the line that is still awaited will not be read, its BYE follows.
  if (session.end !== undefined) return 'OK IDLE terminated'
  const said = await line
  if (said === undefined || said.toUpperCase() !== 'DONE') throw new SyntaxFault('Expected DONE')
  return 'OK IDLE terminated'
}

/** A database that fails is no reason to end what the client means to last: the next round tells what this one could not. */
async function tell(session: Session): Promise<boolean> {
  try {
    await session.update(true)
    return true
  } catch (error) {
    if (isGone(error)) {
      session.bye('The selected mailbox has been deleted')
      return true
    }
    session.surroundings.log.warn({ err: error, peer: session.peer }, 'imap: IDLE cannot look for changes, trying on')
    return false
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    if (signal.aborted) done()
    else signal.addEventListener('abort', done)
  })
}
