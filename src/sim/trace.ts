/** What happened, in order. Keeps the last events only, unless everything is asked for. */
export class Trace {
  private lines: string[] = []
  private readonly keep: number

  constructor(keep: number) {
    this.keep = keep
  }

  add(now: number, where: string, text: string): void {
    this.lines.push(`${now.toFixed(1).padStart(9)} ${where.padEnd(4)} ${text}`)
    if (this.lines.length > this.keep * 2) this.lines = this.lines.slice(-this.keep)
  }

  all(): readonly string[] {
    return this.lines.slice(-this.keep)
  }
}

/** An invariant of docs/design/decide.md that does not hold: the run ends here. */
export class Violation extends Error {
  readonly invariant: number

  constructor(invariant: number, message: string) {
    super(message)
    this.name = 'Violation'
    this.invariant = invariant
  }
}
