import { randomBytes } from 'node:crypto'
import { existsSync, writeFileSync } from 'node:fs'
import type { Command } from 'commander'
import type { ClusterStatus } from '../admin/schemas.ts'
import { context } from './context.ts'
import { copyTable } from './copy.ts'
import { groupTable } from './group.ts'
import { nodeTable } from './node.ts'
import { indent } from './explain.ts'
import { print, show } from './output.ts'

export function clusterCommands(root: Command): void {
  const noun = root.command('cluster').description('the cluster as a whole')
  noun
    .command('secret')
    .description('make the cluster secret; copy the file to every node')
    .requiredOption('--write <file>', 'where to (mode 0600); an existing file is left as it is')
    .action((options: { write: string }) => {
      if (existsSync(options.write)) return print(`${options.write} exists and was left as it is`)
      writeFileSync(options.write, `${randomBytes(32).toString('hex')}\n`, { mode: 0o600, flag: 'wx' })
      print(`${options.write} written; copy it to the other nodes (mode 0600)`)
    })
  noun
    .command('create')
    .description('create the cluster in the cluster database; once, on any node')
    .option('--name <name>', 'name of the cluster', 'handoff')
    .action(async (options: { name: string }, command: Command) => {
      const { api, json } = context(command)
      const made = await api.post<{ id: string; name: string }>('/cluster', { name: options.name })
      show(json, made, () => `cluster "${made.name}" created (id ${made.id})`)
    })
  noun
    .command('status')
    .description('nodes, groups and copies')
    .action(async (_options: unknown, command: Command) => {
      const { api, json } = context(command)
      const status = await api.get<ClusterStatus>('/cluster')
      show(json, status, () => statusText(status))
    })
}

export function statusText(status: ClusterStatus): string {
  return [
    status.cluster === null
      ? 'no cluster yet: run `handoff cluster create`'
      : `cluster ${status.cluster.name} (${status.cluster.id}), seen from ${status.self}, cluster database ${status.storeReachable ? 'reachable' : 'NOT reachable'}`,
    '',
    'Nodes',
    indent(nodeTable(status.nodes)),
    '',
    'Groups',
    indent(groupTable(status.groups)),
    '',
    'Copies',
    indent(copyTable(status.copies)),
  ].join('\n')
}
