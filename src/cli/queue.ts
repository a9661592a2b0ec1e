import type { Command } from 'commander'
import type { QueuedRecipient } from '../admin/queue-api.ts'
import { context } from './context.ts'
import { bytes, show, table } from './output.ts'

interface Place {
  readonly database?: string
}

const inDatabase = ['--database <database>', 'mailbox database whose queue is meant (default: all of this node)'] as const

export function queueCommands(root: Command): void {
  const noun = root.command('queue').description('mail on its way to other servers')
  noun
    .command('list')
    .description('every recipient that is waiting, being tried or held')
    .option(...inDatabase)
    .action(async (place: Place, command: Command) => {
      const { mailApi, json } = context(command)
      const entries = await mailApi().get<QueuedRecipient[]>(`/queue${query(place)}`)
      show(json, entries, () => (entries.length === 0 ? 'the queue is empty' : overview(entries)))
    })
  noun
    .command('show <id>')
    .description('one message: what became of each recipient')
    .option(...inDatabase)
    .action(async (id: string, place: Place, command: Command) => {
      const { mailApi, json } = context(command)
      const entries = await mailApi().get<QueuedRecipient[]>(`/queue/${encodeURIComponent(id)}${query(place)}`)
      show(json, entries, () => entries.map(story).join('\n\n'))
    })
  const verbs = {
    hold: 'keep a message back until it is released',
    release: 'send what was held',
    retry: 'try now, not when it is due',
    remove: 'give a message up; nobody is told',
  }
  for (const [verb, description] of Object.entries(verbs))
    noun
      .command(`${verb} <id>`)
      .description(description)
      .option(...inDatabase)
      .action(async (id: string, place: Place, command: Command) => {
        const { mailApi, json } = context(command)
        const done = await mailApi().post<{ changed: number }>(`/queue/${encodeURIComponent(id)}/${verb}${query(place)}`, {})
        show(json, done, () => `${verb}: ${done.changed} ${done.changed === 1 ? 'recipient' : 'recipients'}`)
      })
}

const query = ({ database }: Place): string => (database === undefined ? '' : `?database=${encodeURIComponent(database)}`)

function overview(entries: readonly QueuedRecipient[]): string {
  return table(
    ['id', 'state', 'from', 'to', 'size', 'queued', 'tries', 'next', 'last reply'],
    entries.map((entry) => [
      entry.id,
      entry.state,
      `<${entry.returnPath}>`,
      entry.address,
      bytes(entry.sizeBytes),
      entry.queuedAt,
      entry.attempts,
      entry.nextAt,
      entry.reply === null ? null : entry.reply.slice(0, 60),
    ]),
  )
}

function story(entry: QueuedRecipient): string {
  const lines = [
    `message ${entry.id} in ${entry.database}, from <${entry.returnPath}>, queued ${entry.queuedAt}, ${bytes(entry.sizeBytes)}`,
    `  to ${entry.address}: ${entry.state}, tried ${entry.attempts} ${entry.attempts === 1 ? 'time' : 'times'}`,
    ...(entry.nextAt === null ? [] : [`  next attempt ${entry.nextAt}`]),
    ...(entry.reply === null ? [] : [`  ${entry.host === null ? '' : `${entry.host} said: `}${entry.reply}`]),
  ]
  return lines.join('\n')
}
