import { bind, namedCapabilities } from './arguments.ts'
import type { Command, Test } from './ast.ts'
import { canBeEnabledLate, type Capability } from './capabilities.ts'
import { checkCommand, checkTest } from './checks.ts'
import { found, type Position, SieveError } from './error.ts'
import { parse } from './parser.ts'
import type { Branch, Call, Program, Statement } from './program.ts'
import { commandSignatures, type Signature, testSignatures } from './signatures.ts'

/**
 * A script made ready to run; refused here is what can never be right, so that it is refused when it is stored and not when mail comes.
 * @throws SieveError and nothing else
 */
export function compile(script: string): Program {
  const state: State = { enabled: new Set(), deferring: false }
  const commands = parse(script)
  const body = commands.findIndex(({ name }) => name !== 'require')
  const requires = body < 0 ? commands : commands.slice(0, body)
  for (const command of requires) enable(command, state)
  return { statements: block(commands.slice(requires.length), state) }
}

interface State {
  readonly enabled: Set<Capability>
  /** An `ihave` that is false has been seen: what follows may be written for another server. */
  deferring: boolean
}

function enable(command: Command, state: State): void {
  const call = bindCommand(command, state)
  for (const { position, name, known } of namedCapabilities(call)) {
    if (!known) throw new SieveError(position, `require: this server does not have the extension ${found(name)}`)
    state.enabled.add(known)
  }
}

function block(commands: readonly Command[], state: State): Statement[] {
  const statements: Statement[] = []
  for (let at = 0; at < commands.length; ) {
    const chain = chainAt(commands, at)
    at += chain.length
    const statement = deferred(state, () => statementOf(chain, state))
    statements.push(statement)
  }
  return statements
}

/** An `if` with the `elsif` and `else` that follow it, or one command. */
function chainAt(commands: readonly Command[], at: number): Command[] {
  const first = commands[at] as Command
  let end = at + 1
  if (first.name === 'if') while (commands[end]?.name === 'elsif' || (commands[end]?.name === 'else' && commands[end - 1]?.name !== 'else')) end++
  return commands.slice(at, end)
}

function statementOf(chain: readonly Command[], state: State): Statement {
  const first = chain[0] as Command
  if (first.name === 'if') return ifOf(chain, state)
  if (first.name === 'elsif' || first.name === 'else') throw new SieveError(first.position, `"${first.name}" has no "if" before it`)
  if (first.name === 'require') throw new SieveError(first.position, '"require" must stand before all other commands')
  const call = bindCommand(first, state)
  checkCommand(call)
  return { kind: 'command', call }
}

function ifOf(chain: readonly Command[], state: State): Statement {
  const branches: Branch[] = []
  let otherwise: Statement[] = []
  for (const [i, command] of chain.entries()) {
    if (command.name === 'elsif' && chain[i - 1]?.name === 'else') throw new SieveError(command.position, '"elsif" after "else"')
    const call = bindCommand(command, state)
    const inside = block(command.block ?? [], state)
    const test = call.tests[0]
    if (test) branches.push({ test, block: inside })
    else otherwise = inside
  }
  return { kind: 'if', branches, otherwise }
}

/** RFC 5463 §4: after an `ihave` that is false, errors are errors only for a run that reaches them. */
function deferred(state: State, make: () => Statement): Statement {
  try {
    return make()
  } catch (error) {
    if (!state.deferring || !(error instanceof SieveError)) throw error
    return { kind: 'broken', problem: error.message }
  }
}

function bindCommand(command: Command, state: State): Call {
  const signature = signatureOf(commandSignatures, command, 'command')
  if (signature.block && !command.block) throw new SieveError(command.position, `"${command.name}" needs a block in braces`)
  if (!signature.block && command.block) throw new SieveError(command.position, `"${command.name}" takes no block: it ends with ";"`)
  return bind(command, signature, state.enabled, (test) => bindTest(test, state))
}

function bindTest(test: Test, state: State): Call {
  try {
    const call = bind(test, signatureOf(testSignatures, test, 'test'), state.enabled, (inner) => bindTest(inner, state))
    checkTest(call, state.enabled)
    return call.name === 'ihave' ? { ...call, name: isGranted(call, state) ? 'true' : 'false' } : call
  } catch (error) {
    if (!state.deferring || !(error instanceof SieveError)) throw error
    return { name: 'broken', position: test.position, problem: error.message, tags: new Map(), first: undefined, values: [], tests: [] }
  }
}

/** What `ihave` finds is enabled to the end of the script. */
function isGranted(call: Call, state: State): boolean {
  const granted = namedCapabilities(call).map(({ known }) => (known && (canBeEnabledLate(known) || state.enabled.has(known)) ? known : undefined))
  if (granted.includes(undefined)) {
    state.deferring = true
    return false
  }
  for (const capability of granted) if (capability) state.enabled.add(capability)
  return true
}

function signatureOf(table: Readonly<Record<string, Signature>>, given: { readonly name: string; readonly position: Position }, kind: string): Signature {
  const signature = Object.hasOwn(table, given.name) ? table[given.name] : undefined
  if (!signature) throw new SieveError(given.position, `unknown ${kind} ${found(given.name)}`)
  return signature
}
