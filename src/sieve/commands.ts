import type { Action, FileInto } from './actions.ts'
import { upperAscii } from './comparator.ts'
import { Fault } from './fault.ts'
import { flagsOf, withoutFlags } from './flags.ts'
import { limits } from './limits.ts'
import type { Call } from './program.ts'
import { type Run, setVariable, stringOf, stringsOf, tagString } from './run.ts'
import { isAddress, isMailboxName, isSpecialUse } from './syntax.ts'
import { vacationReply } from './vacation.ts'

/** The commands that do something; `if` and `stop` are in the evaluator. */
export const commands: Readonly<Record<string, (run: Run, call: Call) => void>> = {
  keep: (run, call) => {
    run.implicitKeep = false
    store(run, { kind: 'keep', flags: flagsFor(run, call) })
  },
  discard: (run) => {
    run.implicitKeep = false
    if (!run.actions.some(({ kind }) => kind === 'discard')) run.actions.push({ kind: 'discard' })
  },
  fileinto,
  redirect,
  reject: (run, call) => reject(run, { form: 'reject', reason: stringOf(run, call.values[0]) }),
  ereject: (run, call) => reject(run, { form: 'ereject', reason: stringOf(run, call.values[0]) }),
  setflag: (run, call) => changeFlags(run, call, (_, given) => given),
  addflag: (run, call) => changeFlags(run, call, (flags, given) => flagsOf([...flags, ...given])),
  removeflag: (run, call) => changeFlags(run, call, withoutFlags),
  set: (run, call) => setVariable(run, stringOf(run, call.values[0]), modified(call, stringOf(run, call.values[1]))),
  vacation,
  error: (run, call) => {
    throw new Fault(`the script says: ${stringOf(run, call.values[0])}`)
  },
}

function fileinto(run: Run, call: Call): void {
  const named = stringOf(run, call.values[0])
  if (!isMailboxName(named)) throw new Fault(`fileinto: "${named.slice(0, 100)}" cannot be the name of a mailbox`)
  const use = tagString(run, call, 'specialuse')
  if (use !== undefined && !isSpecialUse(use)) throw new Fault(`fileinto: "${use}" is not a special use`)
  const found = use === undefined ? [] : run.environment.mailboxesWith(use)
  // RFC 8579 §4.1: the named mailbox is for when there is none with the special use.
  const mailbox = found.includes(named) ? named : (found[0] ?? named)
  const copy = call.tags.has('copy')
  if (!copy) run.implicitKeep = false
  store(run, {
    kind: 'fileInto',
    mailbox,
    flags: flagsFor(run, call),
    copy,
    create: call.tags.has('create'),
    specialUse: found.length > 0 ? undefined : use,
  })
}

/** One copy in each mailbox (RFC 5228 §2.10.3); it has the flags of both. */
function store(run: Run, action: FileInto | (Action & { kind: 'keep' })): void {
  incompatible(run, action.kind === 'keep' ? 'keep' : 'fileinto', ['reject'])
  const at = run.actions.findIndex(
    (each) => each.kind === action.kind && (each.kind !== 'fileInto' || action.kind !== 'fileInto' || each.mailbox === action.mailbox),
  )
  const known = run.actions[at]
  if (known?.kind === 'keep' && action.kind === 'keep') run.actions[at] = { ...known, flags: flagsOf([...known.flags, ...action.flags]) }
  else if (known?.kind === 'fileInto' && action.kind === 'fileInto')
    run.actions[at] = { ...known, flags: flagsOf([...known.flags, ...action.flags]), create: known.create || action.create, copy: known.copy && action.copy }
  else if (run.actions.filter(({ kind }) => kind === 'keep' || kind === 'fileInto').length >= limits.stores)
    throw new Fault(`the message would be stored in more than ${limits.stores} mailboxes`)
  else run.actions.push(action)
}

/** RFC 5232 §5: `:flags` instead of the internal variable. */
function flagsFor(run: Run, call: Call): readonly string[] {
  return call.tags.has('flags') ? flagsOf(stringsOf(run, call.tags.get('flags'))) : run.flags
}

function redirect(run: Run, call: Call): void {
  incompatible(run, 'redirect', ['reject'])
  const address = stringOf(run, call.values[0])
  if (!isAddress(address)) throw new Fault(`redirect: "${address.slice(0, 100)}" is not an address`)
  const copy = call.tags.has('copy')
  if (!copy) run.implicitKeep = false
  const sent = run.actions.filter((action) => action.kind === 'redirect')
  if (sent.some((action) => action.address.toLowerCase() === address.toLowerCase())) return
  if (sent.length >= limits.redirects) throw new Fault(`more than ${limits.redirects} redirects`)
  run.actions.push({ kind: 'redirect', address, copy })
}

/** RFC 5429 §2.1.2, §2.2.2: a message is refused or taken, not both. */
function reject(run: Run, { form, reason }: { readonly form: 'reject' | 'ereject'; readonly reason: string }): void {
  incompatible(run, form, ['keep', 'fileInto', 'redirect', 'vacation', 'reject'])
  run.implicitKeep = false
  run.actions.push({ kind: 'reject', form, reason })
}

/** RFC 5230 §4.7, §4.8: once, and not with a refusal; the message itself goes where it would have gone. */
function vacation(run: Run, call: Call): void {
  incompatible(run, 'vacation', ['reject', 'vacation'])
  if (run.withheld.length > 0) throw new Fault('"vacation" is given twice')
  const reply = vacationReply(run, call)
  if (reply.kind === 'withheld') run.withheld.push(reply.why)
  else run.actions.push(reply)
}

function incompatible(run: Run, command: string, kinds: readonly Action['kind'][]): void {
  const other = run.actions.find(({ kind }) => kinds.includes(kind))
  if (other) throw new Fault(`"${command}" cannot be done as well as "${other.kind === 'reject' ? other.form : other.kind.toLowerCase()}"`)
}

/** RFC 5232 §3: the variable named, or the internal one. */
function changeFlags(run: Run, call: Call, change: (flags: readonly string[], given: readonly string[]) => readonly string[]): void {
  const given = flagsOf(stringsOf(run, call.values[0]))
  if (!call.first) {
    run.flags = change(run.flags, given)
    return
  }
  const name = stringOf(run, call.first)
  setVariable(run, name, change(flagsOf([run.variables.get(name.toLowerCase()) ?? '']), given).join(' '))
}

/** RFC 5229 §4.1: those of higher precedence first. */
function modified(call: Call, value: string): string {
  const order = ['lower', 'upper', 'lowerfirst', 'upperfirst', 'quotewildcard', 'quoteregex', 'length']
  return order.filter((tag) => call.tags.has(tag)).reduce((text, tag) => (modifiers[tag] as (text: string) => string)(text), value)
}

/** RFC 5229 §4.1.1: letters of ASCII, whatever the language. */
const modifiers: Readonly<Record<string, (text: string) => string>> = {
  lower: (text) => text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase()),
  upper: upperAscii,
  lowerfirst: (text) => text.replace(/^[A-Z]/, (letter) => letter.toLowerCase()),
  upperfirst: (text) => text.replace(/^[a-z]/, (letter) => letter.toUpperCase()),
  quotewildcard: (text) => text.replace(/[*?\\]/g, '\\$&'),
  quoteregex: (text) => text.replace(/[\\^$.[\]|()?*+{}]/g, '\\$&'),
  length: (text) => String([...text].length),
}
