import { parseMessage } from '../message/structure.ts'
import type { Outcome } from './actions.ts'
import type { Environment } from './environment.ts'
import { type Delivery, evaluate } from './evaluate.ts'
import type { Program } from './program.ts'

/** The part of `Environment` whose answers have to be fetched. */
export interface Facts {
  mailboxExists(name: string): Promise<boolean>
  mailboxesWith(specialUse: string): Promise<readonly string[]>
  isDuplicate(key: string): Promise<boolean>
}

class Unanswered extends Error {
  readonly fetch: () => Promise<void>
  constructor(fetch: () => Promise<void>) {
    super('unanswered')
    this.fetch = fetch
  }
}

/**
 * Evaluates where the answers are in a database. A run stops at the first question without an answer; it is fetched, and the script runs again from
 * its beginning: runs are pure, so they ask the same and do nothing twice. There are at most as many runs as different questions, and one more.
 */
export async function evaluateAsking(
  program: Program,
  delivery: Delivery,
  facts: Facts & Pick<Environment, 'now' | 'ownAddresses' | 'item'>,
): Promise<Outcome> {
  const environment: Environment = {
    now: facts.now,
    ownAddresses: facts.ownAddresses,
    item: (name) => facts.item(name),
    mailboxExists: answering((name) => facts.mailboxExists(name)),
    mailboxesWith: answering((use) => facts.mailboxesWith(use)),
    isDuplicate: answering((key) => facts.isDuplicate(key)),
  }
  const parsed: Delivery = { ...delivery, root: delivery.root ?? parseMessage(delivery.bytes) }
  for (;;) {
    try {
      return evaluate(program, parsed, environment)
    } catch (error) {
      if (!(error instanceof Unanswered)) throw error
      await error.fetch()
    }
  }
}

function answering<T>(fetch: (question: string) => Promise<T>): (question: string) => T {
  const answers = new Map<string, { readonly answer: T }>()
  return (question) => {
    const known = answers.get(question)
    if (known) return known.answer
    throw new Unanswered(async () => {
      answers.set(question, { answer: await fetch(question) })
    })
  }
}
