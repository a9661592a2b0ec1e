import type { Command } from 'commander'
import type { CopyStatus } from '../admin/schemas.ts'
import type { ClusterStatus } from '../admin/schemas.ts'
import { context, progressLine, waitFor } from './context.ts'
import { bytes, show, table } from './output.ts'

export function copyCommands(root: Command): void {
  const noun = root.command('copy').description('the copies of storage groups')
  noun
    .command('status [storage-group]')
    .description('state and queues of every copy')
    .action(async (group: string | undefined, _options: unknown, command: Command) => {
      const { api, json } = context(command)
      const { copies } = await api.get<ClusterStatus>('/cluster')
      const chosen = copies.filter((copy) => group === undefined || copy.group === group)
      show(json, chosen, () => copyTable(chosen))
    })
  noun
    .command('seed <storage-group>')
    .description("make this node's passive copy anew from the active one")
    .option('--timeout <seconds>', 'how long to wait', '3600')
    .action(async (group: string, options: { timeout: string }, command: Command) => {
      const { api, json } = context(command)
      const { node } = await api.post<{ node: string }>(`/copies/${encodeURIComponent(group)}/seed`, {})
      const line = progressLine()
      const copy = await waitFor(
        `the copy of ${group} on ${node} to be Healthy`,
        async () => {
          const { copies } = await api.get<ClusterStatus>('/cluster')
          const own = copies.find((candidate) => candidate.group === group && candidate.node === node)
          line.update(`${group} on ${node}: ${own?.status ?? 'unknown'} ${own?.detail ?? ''}`)
          return own?.status === 'Healthy' ? own : null
        },
        { timeoutMs: Number(options.timeout) * 1000, everyMs: 200 },
      ).finally(line.end)
      show(json, copy, () => copyTable([copy]))
    })
}

export function copyTable(copies: readonly CopyStatus[]): string {
  return table(
    ['storage group', 'node', 'status', 'in sync', 'copy queue', 'replay queue', 'received', 'detail'],
    copies.map((copy) => [
      copy.group,
      copy.node,
      copy.status,
      copy.inSync ? 'yes' : 'no',
      bytes(copy.copyQueueBytes),
      bytes(copy.replayQueueBytes),
      copy.receivedLsn,
      copy.detail,
    ]),
  )
}
