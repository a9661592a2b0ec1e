import type { DecisionRecord } from '../groups/decision.ts'
import { table } from './output.ts'

/** The story of one change of owner, for people. */
export function tell(decision: DecisionRecord): string {
  const lines = [
    `${decision.group}: ${decision.from} -> ${decision.to}, epoch ${decision.epoch}, ${new Date(decision.atWallMs).toISOString()}`,
    `why       ${decision.rule} (${decision.cause})`,
    `decided   by ${decision.decidedBy}${decision.request === null ? '' : `, asked for by ${decision.request.by}: ${decision.request.reason}`}`,
    `compared  revision ${decision.compared.revision}, epoch ${decision.compared.epoch}, in-sync set {${decision.compared.inSync.join(', ')}}`,
    '',
    'Who saw what',
    indent(
      table(
        ['node', 'saw', 'learnt'],
        decision.evidence.map((entry) => [entry.node, entry.saw, `${entry.ageMs} ms before`]),
      ),
    ),
    '',
    'Candidates',
    indent(
      table(
        ['node', 'verdict'],
        decision.candidates.map((entry) => [entry.node, entry.verdict]),
      ),
    ),
    '',
    'Steps',
    decision.steps.length === 0
      ? '  (not reported yet)'
      : indent(
          table(
            ['at', 'took', 'step'],
            decision.steps
              .toSorted((left, right) => left.atMs - right.atMs)
              .map((entry) => [`${ms(entry.atMs)} ms`, entry.tookMs === null ? '' : `${ms(entry.tookMs)} ms`, entry.step]),
          ),
        ),
    '',
    'Proof about loss',
    indent(
      table(
        ['position', 'log'],
        [
          ['last known of the old owner', decision.positions.oldOwnerLsn],
          ['flushed by the new owner', decision.positions.newOwnerReceivedLsn],
          ['the new timeline begins at', decision.positions.promotedLsn],
        ],
      ),
    ),
    `  ${decision.positions.argument}`,
    '',
    'The old copy',
    `  ${rejoinText(decision)}`,
  ]
  return lines.join('\n')
}

function rejoinText(decision: DecisionRecord): string {
  const rejoin = decision.rejoin
  if (rejoin === null) return decision.positions.newOwnerReceivedLsn === null ? 'none: the group has no data of its own' : 'has not come back yet'
  const ways = { started: 'started again as a passive copy: its log ended before the new timeline', rewound: 'rewound', reseeded: 'reseeded' } as const
  const tail =
    rejoin.divergentBytes === 0
      ? 'no divergent log'
      : `${rejoin.divergentBytes} bytes of log that nobody had been told of, saved in ${rejoin.savedTo ?? '(not saved)'}`
  return `${rejoin.node} ${ways[rejoin.way]} (${new Date(rejoin.atWallMs).toISOString()}); ${tail}`
}

export const indent = (text: string): string => text.replace(/^/gm, '  ')
const ms = (value: number): string => value.toFixed(1)
