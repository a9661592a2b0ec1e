/** Ends the run of a script: the message is kept (RFC 5228 §2.10.6), and the owner of the script is told the cause. */
export class Fault extends Error {
  override readonly name = 'Fault'
}

/** What is left of the work that one run may do; shared by everything that loops over a message or a pattern. */
export interface Budget {
  left: number
}

export function charge(budget: Budget, work: number): void {
  budget.left -= work
  if (budget.left < 0) throw new Fault('the script takes too long for this message')
}
