import { HandoffError } from '../errors.ts'

/** Rows under headings, padded to the widest cell. */
export function table(headings: readonly string[], rows: readonly (readonly (string | number | null)[])[]): string {
  const cells = [headings, ...rows.map((row) => row.map((cell) => (cell === null ? '-' : String(cell))))]
  const widths = headings.map((_, column) => Math.max(...cells.map((row) => (row[column] ?? '').length)))
  return cells
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

/** One object in JSON, or the text for people. */
export function show(json: boolean | undefined, value: unknown, text: () => string): void {
  print(json === true ? JSON.stringify(value) : text())
}

/** The way every failure of a command is told: code, what happened, what to do. */
export function describeFailure(failure: unknown): string {
  if (failure instanceof HandoffError) return `${failure.code}: ${failure.message}\n  remedy: ${failure.remedy}`
  return failure instanceof Error ? failure.message : String(failure)
}

/** The same for programs: one JSON value. */
export function failureAsJson(failure: unknown): string {
  const known = failure instanceof HandoffError ? { code: failure.code, message: failure.message, remedy: failure.remedy } : null
  return JSON.stringify({ error: known ?? { code: 'INTERNAL', message: failure instanceof Error ? failure.message : String(failure), remedy: null } })
}

export function bytes(count: number | null): string | null {
  if (count === null) return null
  if (count < 1024) return `${count} B`
  const units = ['KiB', 'MiB', 'GiB', 'TiB']
  const power = Math.min(units.length, Math.floor(Math.log2(count) / 10))
  return `${(count / 1024 ** power).toFixed(1)} ${units[power - 1]}`
}
