import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import { context } from './context.ts'
import { show, table } from './output.ts'

interface Mailbox {
  readonly address: string
  readonly database: string
}

export function mailboxCommands(root: Command): void {
  const noun = root.command('mailbox').description("people's mailboxes")
  noun
    .command('create <address>')
    .description('make a mailbox; the password is read from standard input unless --password is given')
    .option('--password <password>', 'visible to others in the process list: for trials only')
    .option('--database <database>', 'mailbox database (default: the only one)')
    .action(async (address: string, options: { password?: string; database?: string }, command: Command) => {
      const { mailApi, json } = context(command)
      const password = options.password ?? readFileSync(0, 'utf8').replace(/\r?\n$/, '')
      const made = await mailApi().post<Mailbox>('/mailboxes', { address, password, ...(options.database === undefined ? {} : { database: options.database }) })
      show(json, made, () => `mailbox ${made.address} made in ${made.database}`)
    })
  noun
    .command('list')
    .description('every mailbox')
    .action(async (_options: unknown, command: Command) => {
      const { mailApi, json } = context(command)
      const mailboxes = await mailApi().get<Mailbox[]>('/mailboxes')
      show(json, mailboxes, () =>
        table(
          ['address', 'database'],
          mailboxes.map((mailbox) => [mailbox.address, mailbox.database]),
        ),
      )
    })
}
