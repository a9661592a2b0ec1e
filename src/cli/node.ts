import type { Command } from 'commander'
import type { NodeStatus } from '../admin/schemas.ts'
import type { ClusterStatus } from '../admin/schemas.ts'
import { context } from './context.ts'
import { print, show, table } from './output.ts'

export function nodeCommands(root: Command): void {
  const noun = root.command('node').description('the machines of the cluster')
  noun
    .command('list')
    .description('every node, its state and its networks')
    .action(async (_options: unknown, command: Command) => {
      const { api, json } = context(command)
      const { nodes } = await api.get<ClusterStatus>('/cluster')
      show(json, nodes, () => nodeTable(nodes))
    })
  for (const verb of ['pause', 'resume'] as const) {
    noun
      .command(`${verb} <node>`)
      .description(verb === 'pause' ? 'the node keeps what it owns, but takes nothing over' : 'the node may take groups over again')
      .action(async (node: string, _options: unknown, command: Command) => {
        await context(command).api.post(`/nodes/${encodeURIComponent(node)}/${verb}`, {})
        print(`${node} ${verb}d`)
      })
  }
}

export function nodeTable(nodes: readonly NodeStatus[]): string {
  return table(
    ['node', 'role', 'state', 'networks'],
    nodes.map((node) => [
      node.node,
      node.role,
      node.paused ? `${node.state}, paused` : node.state,
      Object.entries(node.networks)
        .map(([network, seen]) => `${network} ${node.addresses[network] ?? ''} ${seen.state}`)
        .join('; '),
    ]),
  )
}
