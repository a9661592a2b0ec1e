import { LineSession, type LineTarget } from './line-session.ts'

export type Message = { readonly from: string; readonly to: string; readonly messageId: string; readonly text: string }

/** One LMTP session (RFC 2033) with one recipient for each message. */
export class LmtpSession {
  private readonly lines: LineSession
  private readonly limitMs: number

  private constructor(lines: LineSession, limitMs: number) {
    this.lines = lines
    this.limitMs = limitMs
  }

  static async open(target: LineTarget, replyMs: number): Promise<LmtpSession> {
    const session = new LmtpSession(await LineSession.open(target), replyMs)
    try {
      await session.expect('2')
      await session.command('LHLO rig.test', '2')
      return session
    } catch (error) {
      session.close()
      throw error
    }
  }

  /** Resolves when the server has taken the message (250 after the data). */
  async deliver(message: Message): Promise<void> {
    await this.command(`MAIL FROM:<${message.from}>`, '2')
    await this.command(`RCPT TO:<${message.to}>`, '2')
    await this.command('DATA', '3')
    const head = [
      `From: ${message.from}`,
      `To: ${message.to}`,
      `Message-ID: <${message.messageId}>`,
      `Subject: ${message.messageId}`,
      'Date: Mon, 1 Jan 2024 00:00:00 +0000',
    ]
    await this.command(`${head.join('\r\n')}\r\n\r\n${message.text}\r\n.`, '2')
  }

  close(): void {
    this.lines.close()
  }

  private command(text: string, wanted: string): Promise<void> {
    this.lines.send(`${text}\r\n`)
    return this.expect(wanted)
  }

  private async expect(wanted: string): Promise<void> {
    let line: string
    do line = await this.lines.line(this.limitMs)
    while (line[3] === '-')
    if (!line.startsWith(wanted)) throw new Error(line)
  }
}
