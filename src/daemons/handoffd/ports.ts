import type { Logger } from 'pino'
import type { KeyedStore } from '../../admin/cluster-admin.ts'
import type { HeartbeatPayload } from '../../cluster/liveness.ts'
import type { Action, RecordAction } from '../../groups/action.ts'
import type { DecisionRecord } from '../../groups/decision.ts'
import type { GroupId } from '../../groups/group.ts'
import { HandoffError } from '../../errors.ts'
import { StoreKey } from '../../store/keys.ts'
import type { Store } from '../../store/store.ts'
import type { ClusterEvent, DecisionPatch, GroupDeadline, Input, Outcome, Ports } from '../../supervisor/ports.ts'
import type { Addresses } from './addresses.ts'
import type { Copies } from './copies.ts'
import type { Services } from './services.ts'
import type { Session } from './session.ts'

export interface PortsOptions {
  readonly store: Store
  readonly keyed: KeyedStore
  readonly cluster: string
  readonly session: Session
  /** Told at each renewal. What is read of the cluster database before the first may still be changed by an earlier life of this node. */
  readonly sessionBegun: () => void
  readonly sessionFailed: (failure: Error) => void
  readonly copies: Copies
  readonly addresses: Addresses
  readonly services: Services
  readonly input: (input: Input) => void
  readonly poke: () => void
  readonly publish: (payload: HeartbeatPayload) => void
  readonly guard: (deadlines: readonly GroupDeadline[]) => void
  readonly tell: (event: ClusterEvent) => void
  readonly refused: (requestId: string, why: string) => void
  readonly log: Logger
}

/** The supervisor's ports in production: the cluster database, PostgreSQL, addresses, the mailbox service and the guardian. */
export function ports(options: PortsOptions): Ports {
  const later = <T>(work: Promise<T>, done: (result: T) => void): void => {
    work
      .then(done)
      .catch((failure: Error) => options.log.error({ failure: failure.stack }, 'a port failed'))
      .finally(options.poke)
  }
  return {
    perform: (action, done) => later(carryOut(options, action).catch(failed), done),
    renewSession: (done) =>
      later(
        options.session.renew().then(
          ({ ttlMs }) => {
            options.sessionBegun()
            return { ok: true, ttlMs } as const
          },
          (failure: Error) => {
            options.sessionFailed(failure)
            return { ok: false, why: failure.message } as const
          },
        ),
        done,
      ),
    readRecord: (group, done) => later(readRecord(options, group), done),
    observe: (group) => options.copies.observe(group),
    publish: options.publish,
    guard: options.guard,
    tell: options.tell,
    amendDecision: (group, epoch, patch) => {
      amend(options.keyed, group, epoch, patch).catch((failure: Error) =>
        options.log.warn({ group, epoch, failure: failure.message }, 'the decision record was not completed'),
      )
    },
  }
}

async function carryOut(options: PortsOptions, action: Action): Promise<Outcome> {
  switch (action.lane) {
    case 'record':
      return changeRecord(options, action)
    case 'instance': {
      const outcome = await options.copies.perform(action)
      if (action.kind === 'promote' && outcome.ok) void tellFirstWrite(options, action)
      return outcome
    }
    case 'address':
      return options.addresses.perform(action)
    case 'service': {
      const began = Date.now()
      const outcome = await options.services.perform(action)
      if (action.kind !== 'serve' || !outcome.ok) return outcome
      return { ...outcome, patch: { steps: [{ step: 'listeners open', atWallMs: began, tookMs: Date.now() - began }] } }
    }
    case 'promise':
      throw new Error('a promise is kept by the supervisor itself')
  }
}

async function tellFirstWrite(options: PortsOptions, action: { readonly group: GroupId; readonly epoch: number }): Promise<void> {
  const atWallMs = await options.copies.firstWrite(action.group)
  if (atWallMs === null) return
  await amend(options.keyed, action.group, action.epoch, { steps: [{ step: 'first write committed', atWallMs, tookMs: null }] }).catch(() => undefined)
}

async function changeRecord(options: PortsOptions, action: RecordAction): Promise<Outcome> {
  if (action.kind === 'refuseRequest') {
    options.refused(action.id, action.why)
    await options.keyed.transact({
      compare: [{ key: `requests/${action.group}`, modRevision: action.requestRevision }],
      put: [{ key: `refusals/${action.id}`, value: JSON.stringify({ why: action.why, atWallMs: Date.now() }) }],
      delete: [`requests/${action.group}`],
    })
    return { ok: true }
  }
  const absolute = (key: string): string => StoreKey.prefix(options.cluster) + key
  try {
    const result = await options.store.transact({
      compare: [
        { key: absolute(`owners/${action.group}`), modRevision: action.expected.revision },
        options.session.compare,
        ...(action.absentSession === null ? [] : [{ key: absolute(`sessions/${action.absentSession}`), modRevision: 0n }]),
      ],
      put: [
        { key: absolute(`owners/${action.group}`), value: JSON.stringify(action.next) },
        ...(action.decision === null
          ? []
          : [{ key: absolute(`decisions/${action.group}/${String(action.next.epoch).padStart(9, '0')}`), value: JSON.stringify(action.decision) }]),
      ],
      delete: action.clearRequest ? [absolute(`requests/${action.group}`)] : [],
    })
    if (result.ok) return { ok: true, revision: result.revision }
    const message = 'the record had changed: another node was first, or this one had not seen the latest change'
    return { ok: false, code: 'RECORD_CHANGED', message, compared: true }
  } catch (failure) {
    // Anything but a certain "not applied" may have been applied.
    const certain = failure instanceof HandoffError && failure.code === 'STORE_UNREACHABLE'
    return { ok: false, code: 'STORE_UNREACHABLE', message: (failure as Error).message, unknown: !certain }
  }
}

async function readRecord(options: PortsOptions, group: GroupId): Promise<boolean> {
  try {
    const [entry, request] = await Promise.all([options.keyed.get(`owners/${group}`), options.keyed.get(`requests/${group}`)])
    const puts = [
      ...(entry === null ? [] : [{ key: `owners/${group}`, value: entry.value, modRevision: entry.modRevision }]),
      ...(request === null ? [] : [{ key: `requests/${group}`, value: request.value, modRevision: request.modRevision }]),
    ]
    options.input({ kind: 'store', reset: false, puts, deletes: [] })
    return true
  } catch {
    return false
  }
}

async function amend(store: KeyedStore, group: GroupId, epoch: number, patch: DecisionPatch): Promise<void> {
  const key = `decisions/${group}/${String(epoch).padStart(9, '0')}`
  for (let attempt = 0; attempt < 10; attempt += 1) {
    const entry = await store.get(key)
    if (entry === null) return
    const before = JSON.parse(entry.value) as DecisionRecord
    const after: DecisionRecord = {
      ...before,
      steps: [...before.steps, ...(patch.steps ?? []).map(({ atWallMs, ...step }) => ({ ...step, atMs: Math.round((atWallMs - before.atWallMs) * 10) / 10 }))],
      positions: patch.promotedLsn === undefined ? before.positions : { ...before.positions, promotedLsn: patch.promotedLsn },
      rejoin: patch.rejoin ?? before.rejoin,
    }
    if (await store.transact({ compare: [{ key, modRevision: entry.modRevision }], put: [{ key, value: JSON.stringify(after) }] })) return
  }
}

function failed(failure: unknown): Outcome {
  if (failure instanceof HandoffError) return { ok: false, code: failure.code, message: `${failure.message} (remedy: ${failure.remedy})` }
  return { ok: false, code: 'INTERNAL', message: failure instanceof Error ? (failure.stack ?? failure.message) : String(failure) }
}
