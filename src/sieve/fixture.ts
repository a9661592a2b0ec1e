import type { Outcome } from './actions.ts'
import { compile } from './compile.ts'
import type { Environment } from './environment.ts'
import { evaluate } from './evaluate.ts'

export interface Given {
  /** Lines of the message. */
  readonly message?: readonly string[]
  readonly from?: string
  readonly to?: string
  readonly environment?: Partial<Environment>
}

/** RFC 5228 §5.4, "Message A" and "Message B" of its example have this form. */
export const coyote: readonly string[] = [
  'Date: Tue, 1 Apr 1997 09:06:31 -0800 (PST)',
  'From: coyote@desert.example.org',
  'To: roadrunner@acme.example.com',
  'Subject: I have a present for you',
  'Message-ID: <present@desert.example.org>',
  '',
  "Look, I'm sorry about the whole anvil thing, and I really didn't mean to try and drop it on you.",
]

/** 2026-11-24 02:25:30 UTC in a zone one hour to the east. */
export const quietEnvironment: Environment = {
  now: { epochSeconds: 1_795_487_130, zoneMinutes: 60 },
  ownAddresses: [],
  mailboxExists: () => false,
  mailboxesWith: () => [],
  isDuplicate: () => false,
  item: () => undefined,
}

export function runScript(script: string, given: Given = {}): Outcome {
  const bytes = new TextEncoder().encode((given.message ?? coyote).join('\r\n'))
  const envelope = { from: given.from ?? 'coyote@desert.example.org', to: given.to ?? 'roadrunner@acme.example.com' }
  return evaluate(compile(script), { bytes, envelope }, { ...quietEnvironment, ...given.environment })
}

/** Whether a test is true of a message; a fault is shown as its text. */
export function holds(test: string, given: Given & { readonly require?: readonly string[]; readonly before?: string } = {}): boolean | string {
  const required = (given.require ?? []).map((name) => `require "${name}";`).join(' ')
  const { actions, fault } = runScript(`${required} ${given.before ?? ''} if ${test} { discard; }`, given)
  return fault ?? actions.some(({ kind }) => kind === 'discard')
}
