import { checkScript, type Scripts } from '../filter/scripts.ts'
import { type Command, nameOf, numberOf, stringOf, textOf } from './command.ts'
import type { Argument } from './command-reader.ts'
import { encodeString, Refusal, type Reply, refusals } from './reply.ts'
import type { Session } from './session.ts'

const warningsMax = 20

export const scriptCommands: Readonly<Record<string, Command>> = {
  LISTSCRIPTS: loggedIn(0, async (scripts, _args, session) => {
    const entries = await scripts.list()
    session.write(Buffer.concat(entries.flatMap(({ name, active }) => [encodeString(Buffer.from(name)), Buffer.from(active ? ' ACTIVE\r\n' : '\r\n')])))
    return { condition: 'OK' }
  }),
  GETSCRIPT: loggedIn(1, async (scripts, [name], session) => {
    const content = await scripts.get(nameOf(name))
    session.write(Buffer.concat([encodeString(Buffer.from(content)), Buffer.from('\r\n')]))
    return { condition: 'OK' }
  }),
  HAVESPACE: loggedIn(2, async (scripts, [name, size]) => {
    const wanted = { name: nameOf(name), bytes: numberOf(size) }
    if (wanted.bytes === 0) throw emptyScript()
    await scripts.requireSpace(wanted.name, wanted.bytes)
    return { condition: 'OK', text: 'There is space for it' }
  }),
  PUTSCRIPT: loggedIn(2, async (scripts, [name, content]) => {
    const kept = nameOf(name)
    if (content?.kind === 'oversized') throw new Refusal(`A script of ${content.octets} octets is too large`, 'QUOTA/MAXSIZE')
    // RFC 5804 §2.6: one of zero length should be disallowed.
    if (stringOf(content).length === 0) throw emptyScript()
    return told(await scripts.put(kept, textOf(content)), 'Stored')
  }),
  CHECKSCRIPT: loggedIn(1, async (_scripts, [content]) => told(checkScript(textOf(content)), 'The script is right')),
  SETACTIVE: loggedIn(1, async (scripts, [name]) => {
    const chosen = stringOf(name).length === 0 ? '' : nameOf(name)
    await scripts.activate(chosen)
    return { condition: 'OK', text: chosen === '' ? 'No script is active' : 'Active' }
  }),
  DELETESCRIPT: loggedIn(1, async (scripts, [name]) => {
    await scripts.remove(nameOf(name))
    return { condition: 'OK', text: 'Deleted' }
  }),
  RENAMESCRIPT: loggedIn(2, async (scripts, [from, to]) => {
    await scripts.rename(nameOf(from), nameOf(to))
    return { condition: 'OK', text: 'Renamed' }
  }),
}

function loggedIn(argsCount: number, run: (scripts: Scripts, args: readonly Argument[], session: Session) => Promise<Reply>): Command {
  return {
    state: 'loggedIn',
    argsMin: argsCount,
    argsMax: argsCount,
    async run(session, args) {
      if (!session.owner) throw refusals.loginFirst()
      return run(session.owner.scripts, args, session)
    },
  }
}

function emptyScript(): Refusal {
  return new Refusal('A script of no octets is not taken')
}

/** RFC 5804 §1.3: clients show the text that comes with WARNINGS. */
function told(warnings: readonly string[], done: string): Reply {
  if (warnings.length === 0) return { condition: 'OK', text: done }
  return { condition: 'OK', code: 'WARNINGS', text: warnings.slice(0, warningsMax).join('\r\n') }
}
