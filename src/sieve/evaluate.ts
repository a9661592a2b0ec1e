import type { MessageRoot } from '../message/part.ts'
import type { Action, Outcome } from './actions.ts'
import { commands } from './commands.ts'
import type { Envelope, Environment } from './environment.ts'
import { charge, Fault } from './fault.ts'
import { limits } from './limits.ts'
import { viewMessage } from './message-view.ts'
import type { Program, Statement } from './program.ts'
import type { Run } from './run.ts'
import { evaluateTest } from './tests.ts'

export interface Delivery {
  readonly bytes: Uint8Array
  /** The structure of the message, where it is known. */
  readonly root?: MessageRoot
  readonly envelope: Envelope
}

/**
 * What the script wants done with a message. Total: what goes wrong while it runs becomes `fault`, and then the message is kept and nothing else is
 * done (RFC 5228 §2.10.6).
 */
export function evaluate(program: Program, delivery: Delivery, environment: Environment): Outcome {
  const run: Run = {
    message: viewMessage(delivery.bytes, delivery.root),
    envelope: delivery.envelope,
    environment,
    budget: { left: limits.work },
    variables: new Map(),
    matched: [],
    flags: [],
    actions: [],
    duplicates: new Map(),
    withheld: [],
    regexes: new Map(),
    body: undefined,
    implicitKeep: true,
  }
  try {
    perform(run, program.statements)
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    return { actions: [{ kind: 'keep', flags: [] }], fault: error.message, withheld: [] }
  }
  const kept: Action[] = run.implicitKeep ? [{ kind: 'keep', flags: run.flags }] : []
  return { actions: [...run.actions, ...kept], fault: undefined, withheld: run.withheld }
}

/** @returns `stop` when the script has ended */
function perform(run: Run, statements: readonly Statement[]): 'stop' | undefined {
  for (const statement of statements) {
    charge(run.budget, 10)
    if (performOne(run, statement) === 'stop') return 'stop'
  }
  return undefined
}

function performOne(run: Run, statement: Statement): 'stop' | undefined {
  switch (statement.kind) {
    case 'broken':
      throw new Fault(statement.problem)
    case 'if': {
      const branch = statement.branches.find(({ test }) => evaluateTest(run, test))
      return perform(run, branch ? branch.block : statement.otherwise)
    }
    case 'command': {
      const { call } = statement
      if (call.name === 'stop') return 'stop'
      const command = Object.hasOwn(commands, call.name) ? commands[call.name] : undefined
      if (!command) throw new Fault(`the command "${call.name}" is not there`)
      command(run, call)
      return undefined
    }
  }
}
