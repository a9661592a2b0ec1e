import type { MailboxEntry } from './checker.ts'
import { LineSession, type LineTarget } from './line-session.ts'

/** As much of IMAP (RFC 9051) as it takes to watch one mailbox. */
export class ImapSession {
  private readonly lines: LineSession
  private readonly limitMs: number
  private tag = 0
  uidValidity = 0

  private constructor(lines: LineSession, limitMs: number) {
    this.lines = lines
    this.limitMs = limitMs
  }

  /** Logs in and selects INBOX. */
  static async open(target: LineTarget, account: { readonly user: string; readonly password: string }, replyMs: number): Promise<ImapSession> {
    const session = new ImapSession(await LineSession.open(target), replyMs)
    try {
      await session.lines.line(replyMs)
      await session.command(`LOGIN "${account.user}" "${account.password}"`)
      const selected = await session.command('SELECT INBOX')
      session.uidValidity = Number(/UIDVALIDITY (\d+)/.exec(selected)?.[1] ?? 0)
      return session
    } catch (error) {
      session.close()
      throw error
    }
  }

  /** Messages with a UID of at least `from`. */
  async entries(from: number): Promise<MailboxEntry[]> {
    const answer = await this.command(`UID FETCH ${from}:* (UID BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])`)
    const found: MailboxEntry[] = []
    for (const part of answer.split(/^\* \d+ FETCH /m).slice(1)) {
      const uid = Number(/UID (\d+)/.exec(part)?.[1])
      const messageId = /Message-ID:\s*<([^>]*)>/i.exec(part)?.[1]
      // "n:*" names the last message even when its UID is below n
      if (messageId !== undefined && uid >= from) found.push({ uidValidity: this.uidValidity, uid, messageId })
    }
    return found
  }

  async noop(): Promise<void> {
    await this.command('NOOP')
  }

  close(): void {
    this.lines.close()
  }

  /** @returns everything up to the tagged line. @throws Error when that is not OK */
  private async command(text: string): Promise<string> {
    this.tag += 1
    const tag = `r${this.tag}`
    this.lines.send(`${tag} ${text}\r\n`)
    let answer = ''
    for (;;) {
      const line = await this.lines.line(this.limitMs)
      if (line.startsWith(`${tag} `)) {
        if (!line.startsWith(`${tag} OK`)) throw new Error(line)
        return answer
      }
      if (line.startsWith('* BYE')) throw new Error(line)
      answer += `${line}\r\n`
      const literal = /\{(\d+)\}$/.exec(line)?.[1]
      if (literal !== undefined) answer += await this.lines.bytes(Number(literal), this.limitMs)
    }
  }
}
