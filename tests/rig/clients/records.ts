import { appendFileSync, readFileSync } from 'node:fs'

/** Monotonic milliseconds, comparable between all processes of one machine. */
export const now = (): number => Number(process.hrtime.bigint()) / 1e6

/** What the SQL writer writes down. */
export type SqlRecord =
  | { readonly kind: 'connected'; readonly at: number; readonly host: string; readonly epoch: string; readonly server: string }
  | {
      readonly kind: 'acknowledged'
      readonly at: number
      readonly sent: number
      readonly id: number
      readonly host: string
      readonly epoch: string
      readonly note?: string
    }
  | { readonly kind: 'dropped'; readonly at: number; readonly id: number; readonly host: string; readonly reason: string }

/** What the mail client writes down. */
export type MailRecord =
  | { readonly kind: 'delivered'; readonly at: number; readonly sent: number; readonly messageId: string; readonly session: number; readonly tries: number }
  | { readonly kind: 'seen'; readonly at: number; readonly uidValidity: number; readonly uid: number; readonly messageId: string }
  | { readonly kind: 'answered'; readonly at: number; readonly tookMs: number; readonly command: string }
  | { readonly kind: 'dropped'; readonly at: number; readonly protocol: 'lmtp' | 'imap'; readonly reason: string }

/** Appends records to a file as JSON lines, a few times a second: writing them must not disturb the timing. */
export class Recorder<T> {
  private readonly file: string
  private lines: string[] = []
  private readonly timer: NodeJS.Timeout

  constructor(file: string) {
    this.file = file
    this.timer = setInterval(() => this.flush(), 100)
  }

  add(record: T): void {
    this.lines.push(JSON.stringify(record))
  }

  flush(): void {
    if (this.lines.length === 0) return
    appendFileSync(this.file, `${this.lines.join('\n')}\n`)
    this.lines = []
  }

  close(): void {
    clearInterval(this.timer)
    this.flush()
  }
}

/** Complete lines only: the last one may be half written. */
export function readRecords<T>(file: string): T[] {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch {
    return []
  }
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T)
}
