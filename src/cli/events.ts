import type { Command } from 'commander'
import type { EventEntry } from '../admin/schemas.ts'
import type { DecisionRecord } from '../groups/decision.ts'
import { HandoffError } from '../errors.ts'
import { context } from './context.ts'
import { tell } from './explain.ts'
import { show, table } from './output.ts'

export function eventCommands(root: Command): void {
  root
    .command('events')
    .description('what has happened, oldest first')
    .option('-f, --follow', 'go on with what happens from now')
    .action(async (options: { follow?: boolean }, command: Command) => {
      const { api, json } = context(command)
      for (const event of await api.get<EventEntry[]>('/events')) show(json, event, () => line(event))
      if (options.follow !== true) return
      const stop = new AbortController()
      process.once('SIGINT', () => stop.abort())
      await api.follow('/events/follow', (data) => show(json, JSON.parse(data) as EventEntry, () => line(JSON.parse(data) as EventEntry)), stop.signal)
    })
  root
    .command('explain [which]')
    .description('tell the story of a change of owner: a number of the list, or "last"; without either, the list')
    .option('--group <group>', 'only this group')
    .action(async (which: string | undefined, options: { group?: string }, command: Command) => {
      const { api, json } = context(command)
      const all = await api.get<DecisionRecord[]>('/decisions')
      const decisions = all.filter((decision) => options.group === undefined || decision.group === options.group)
      if (which === undefined) return show(json, decisions, () => list(decisions))
      const chosen = which === 'last' ? decisions.at(-1) : decisions[Number(which) - 1]
      if (chosen === undefined) throw new HandoffError('DECISION_UNKNOWN', `there is no decision "${which}" among ${decisions.length}`)
      show(json, chosen, () => tell(chosen))
    })
}

function list(decisions: readonly DecisionRecord[]): string {
  if (decisions.length === 0) return 'no group has changed its owner yet'
  return table(
    ['no', 'time', 'group', 'from', 'to', 'epoch', 'cause'],
    decisions.map((decision, index) => [
      index + 1,
      new Date(decision.atWallMs).toISOString(),
      decision.group,
      decision.from,
      decision.to,
      decision.epoch,
      decision.cause,
    ]),
  )
}

const line = (event: EventEntry): string =>
  `${new Date(event.atWallMs).toISOString()} ${event.node} ${event.level} ${event.code}${event.group === null ? '' : ` ${event.group}`}: ${event.message}`
