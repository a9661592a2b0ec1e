import { type FailoverOptions, failoverPolicy, withFailoverOptions } from './failover-options.ts'
import type { Command } from 'commander'
import type { ClusterStatus } from '../admin/schemas.ts'
import { context, progressLine, waitFor } from './context.ts'
import { groupTable } from './group.ts'
import { show } from './output.ts'

export function storageGroupCommands(root: Command): void {
  const noun = root.command('storage-group').description('replicated PostgreSQL instances')
  noun
    .command('list')
    .description('every storage group')
    .action(async (_options: unknown, command: Command) => {
      const { api, json } = context(command)
      const { groups } = await api.get<ClusterStatus>('/cluster')
      const chosen = groups.filter((group) => group.kind === 'storage-group')
      show(json, chosen, () => groupTable(chosen))
    })
  withFailoverOptions(noun.command('create <name>'))
    .description('make a storage group: an instance on its first node, copies on the others')
    .requiredOption('--nodes <nodes>', 'possible owners, comma separated, the preferred first')
    .option('--address <addresses>', 'virtual addresses for plain SQL clients, comma separated')
    .option('--port <port>', 'TCP port of the instance', '5432')
    .option('--timeout <seconds>', 'how long to wait until it is online and in sync', '300')
    .action(async (name: string, options: CreateOptions, command: Command) => {
      const { api, json } = context(command)
      const nodes = list(options.nodes)
      await api.post('/storage-groups', {
        name,
        nodes,
        addresses: list(options.address),
        port: Number(options.port),
        ...failoverPolicy(options),
      })
      const line = progressLine()
      const group = await waitFor(
        `"${name}" to be online with ${nodes.length} copies in sync`,
        async () => {
          const { groups, copies } = await api.get<ClusterStatus>('/cluster')
          const found = groups.find((candidate) => candidate.group === name)
          line.update(
            copies
              .filter((copy) => copy.group === name)
              .map((copy) => `${copy.node}: ${copy.status}${copy.detail === null ? '' : ` (${copy.detail})`}`)
              .join('  '),
          )
          return found?.state === 'online' && found.inSync.length === nodes.length ? found : null
        },
        { timeoutMs: Number(options.timeout) * 1000, everyMs: 50 },
      ).finally(line.end)
      show(json, group, () => groupTable([group]))
    })
}

interface CreateOptions extends FailoverOptions {
  readonly nodes: string
  readonly address?: string
  readonly port: string
  readonly timeout: string
}

export const list = (text: string | undefined): string[] =>
  (text ?? '')
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
