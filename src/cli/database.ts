import type { Command } from 'commander'
import { context, waitFor } from './context.ts'
import { show, table } from './output.ts'

interface DatabaseStatus {
  readonly name: string
  readonly storageGroup: string
  readonly mounted: boolean
}

export function databaseCommands(root: Command): void {
  const noun = root.command('database').description('mailbox databases')
  noun
    .command('create <name>')
    .description('make a mailbox database in a storage group')
    .requiredOption('--storage-group <group>', 'where')
    .option('--timeout <seconds>', 'how long to wait until it is mounted', '60')
    .action(async (name: string, options: { storageGroup: string; timeout: string }, command: Command) => {
      const { api, json } = context(command)
      await api.post('/databases', { name, storageGroup: options.storageGroup })
      const made = await waitFor(
        `"${name}" to be mounted`,
        async () => (await api.get<DatabaseStatus[]>('/databases')).find((database) => database.name === name && database.mounted) ?? null,
        {
          timeoutMs: Number(options.timeout) * 1000,
        },
      )
      show(json, made, () => `database "${name}" is mounted in ${made.storageGroup}`)
    })
  noun
    .command('list')
    .description('every mailbox database')
    .action(async (_options: unknown, command: Command) => {
      const { api, json } = context(command)
      const databases = await api.get<DatabaseStatus[]>('/databases')
      show(json, databases, () =>
        table(
          ['database', 'storage group', 'mounted'],
          databases.map((database) => [database.name, database.storageGroup, database.mounted ? 'yes' : 'no']),
        ),
      )
    })
}
