import type { Cursor } from './cursor.ts'
import { accountCommands } from './commands/account.ts'
import { appendCommand } from './commands/append.ts'
import { fetchCommand } from './commands/fetch.ts'
import { idleCommand } from './commands/idle.ts'
import { listCommands } from './commands/list.ts'
import { mailboxCommands } from './commands/mailbox.ts'
import { messageCommands } from './commands/message.ts'
import { searchCommand } from './commands/search.ts'
import { selectCommands } from './commands/select.ts'
import { statusCommand } from './commands/status.ts'
import type { Session } from './session.ts'

/** Does the command and gives the tagged reply without its tag: `OK …`, `NO …`. */
export type Run = () => Promise<string>

export interface CommandDefinition {
  readonly state: 'any' | 'notAuthenticated' | 'authenticated' | 'selected'
  /** Takes the arguments up to the end. All of the grammar comes before any of the work. */
  readonly parse: (cursor: Cursor, session: Session) => Run
  /** Whether EXPUNGE may be told while it is in progress (RFC 9051 §7.5.1). */
  readonly expunges: boolean
  /** Looks for changes also when the store has not spoken of any: NOOP, CHECK. */
  readonly looks?: boolean
  /** It is meant to last and says by itself that it is alive: IDLE. */
  readonly waits?: boolean
  /** After the tagged reply. */
  readonly afterwards?: (session: Session, reply: string) => Promise<void>
}

/** Names in upper case; the UID forms as `UID FETCH`. */
export const commands: ReadonlyMap<string, CommandDefinition> = new Map<string, CommandDefinition>([
  ...accountCommands,
  ...mailboxCommands,
  ...listCommands,
  ...statusCommand,
  ...selectCommands,
  ...appendCommand,
  ...idleCommand,
  ...messageCommands,
  ...fetchCommand,
  ...searchCommand,
])
