import type { Action } from './action.ts'
import { changeOwner, objection } from './handover.ts'
import type { OperatorRequest, OwnershipRecord } from './ownership.ts'
import type { GroupView, View } from './view.ts'

/**
 * A planned handoff, seen by the owner: quiesce writes until the target has the last position, then one swap of the record; the
 * target promotes when it sees it. Null when nothing is asked. The request names the world it was made in and is refused
 * with the reason when that has passed, or when the target cannot take the group now.
 */
export function planned(view: View, group: GroupView, record: OwnershipRecord): Action[] | null {
  const request = group.request
  if (request === null) return null
  if (group.pendingRecord !== null) return []
  const refusal = refuses(view, group, record, request)
  if (refusal !== null) return [refuse(group, request, refusal)]
  return group.instance === null ? moveServer(view, group, record, request) : moveCopy(view, group, record, request)
}

function refuses(view: View, group: GroupView, record: OwnershipRecord, request: OperatorRequest): string | null {
  if (request.epoch !== record.epoch || request.owner !== record.owner)
    return `the group has moved since: it was asked for epoch ${request.epoch}, now ${record.epoch}`
  if (view.wallMs > request.expiresWallMs) return 'the request has expired'
  if (request.to === record.owner) return `${request.to} owns the group already`
  const failure = group.instanceFailure
  if (failure?.action === 'quiesce') return failure.message
  const why = objection(view, group, record, request.to)
  return why === null ? null : `${request.to} cannot take the group: ${why}`
}

const refuse = (group: GroupView, request: OperatorRequest, why: string): Action => ({
  lane: 'record',
  kind: 'refuseRequest',
  group: request.group,
  id: request.id,
  requestRevision: group.requestRevision,
  why,
})

function moveCopy(view: View, group: GroupView, record: OwnershipRecord, request: OperatorRequest): Action[] {
  const quiesced = group.instance?.kind === 'primary' ? group.instance.quiesced : null
  if (quiesced?.target !== request.to) return [{ lane: 'instance', kind: 'quiesce', group: record.group, target: request.to }]
  return [changeOwner(view, group, record, plannedChange(view, request))]
}

function moveServer(view: View, group: GroupView, record: OwnershipRecord, request: OperatorRequest): Action[] {
  if (group.service?.kind === 'serving') return [{ lane: 'service', kind: 'drain', group: record.group, manner: 'politely' }]
  return [changeOwner(view, group, record, plannedChange(view, request))]
}

const plannedChange = (view: View, request: OperatorRequest): Parameters<typeof changeOwner>[3] => ({
  to: request.to,
  cause: 'planned',
  evidence: [{ node: view.self, saw: `request ${request.id} by ${request.by}: ${request.reason}`, ageMs: 0 }],
  request,
  absentSession: null,
})
