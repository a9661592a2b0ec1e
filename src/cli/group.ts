import type { Command } from 'commander'
import type { GroupStatus } from '../admin/schemas.ts'
import type { ClusterStatus } from '../admin/schemas.ts'
import { type Context, context, progressLine, waitFor } from './context.ts'
import { print, show, table } from './output.ts'

export function groupCommands(root: Command): void {
  const noun = root.command('group').description('units of failover: storage groups and servers')
  noun
    .command('list')
    .description('every group, its owner and state')
    .action(async (_options: unknown, command: Command) => {
      const { api, json } = context(command)
      const { groups } = await api.get<ClusterStatus>('/cluster')
      show(json, groups, () => groupTable(groups))
    })
  addMove(noun, 'hand a group over to another node')
  for (const state of ['online', 'offline'] as const) {
    noun
      .command(`${state} <group>`)
      .description(state === 'online' ? 'try a failed or offline group again' : 'take a group down, and leave it down')
      .action(async (group: string, _options: unknown, command: Command) => {
        await context(command).api.post(`/groups/${encodeURIComponent(group)}/${state}`, {})
        print(`${group}: ${state} asked for`)
      })
  }
}

interface MoveOptions {
  readonly to?: string
  readonly reason?: string
  readonly timeout: string
}

export function addMove(noun: Command, description: string): void {
  noun
    .command('move <group>')
    .description(description)
    .option('--to <node>', 'target node (default: the other in-sync one)')
    .option('--reason <text>', 'kept in the decision record')
    .option('--timeout <seconds>', 'how long to wait', '30')
    .action(async (group: string, options: MoveOptions, command: Command) => {
      const shell = context(command)
      const done = await move(shell, group, options)
      show(shell.json, done, () => `${group} is on ${done.owner} (epoch ${done.epoch}), ${done.tookMs} ms after the request`)
    })
}

/** Asks for the move and waits until the new owner serves, or the request was refused. */
export async function move(shell: Context, group: string, options: MoveOptions): Promise<{ group: string; owner: string; epoch: number; tookMs: number }> {
  const started = performance.now()
  const body = { ...(options.to === undefined ? {} : { to: options.to }), ...(options.reason === undefined ? {} : { reason: options.reason }) }
  const asked = await shell.api.post<{ epoch: number; to: string; id: string }>(`/groups/${encodeURIComponent(group)}/move`, body)
  const line = progressLine()
  try {
    return await waitFor(
      `${group} to be online on ${asked.to}`,
      async () => {
        const state = await shell.api.get<{ group: GroupStatus; refused: string | null }>(`/groups/${encodeURIComponent(group)}?request=${asked.id}`)
        if (state.refused !== null) throw new Error(`MOVE_REFUSED: ${state.refused}`)
        if (state.group.epoch < asked.epoch || state.group.state !== 'online') return null
        return { group, owner: state.group.owner, epoch: state.group.epoch, tookMs: Math.round(performance.now() - started) }
      },
      { timeoutMs: Number(options.timeout) * 1000, progress: line.update },
    )
  } finally {
    line.end()
  }
}

export function groupTable(groups: readonly GroupStatus[]): string {
  return table(
    ['group', 'kind', 'owner', 'state', 'epoch', 'in sync', 'addresses'],
    groups.map((group) => [group.group, group.kind, group.owner, group.state, group.epoch, group.inSync.join(', '), group.addresses.join(', ')]),
  )
}
