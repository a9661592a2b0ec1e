import type { IMemberListResponse, IStatusResponse } from 'etcd3/lib/rpc.js'
import { HandoffError } from '../../errors.ts'
import { monotonicMs } from '../../host/clock.ts'
import { Endpoint } from './endpoint.ts'
import type { EtcdCredentials } from './options.ts'

/** Ids are etcd's member ids, decimal. `leader` is '0' while there is none. */
export interface MemberStatus {
  readonly url: string
  readonly id: string
  readonly leader: string
  readonly raftTerm: string
  readonly dbSizeBytes: number
  readonly errors: readonly string[]
}

const askMs = 500

/** What one member says of itself. @throws HandoffError STORE_UNREACHABLE */
export function memberStatus(url: string, credentials: EtcdCredentials): Promise<MemberStatus> {
  return withEndpoint(url, credentials, async (endpoint) => {
    const status = await ask<IStatusResponse & { readonly errors?: readonly string[] }>(endpoint, 'Maintenance', 'status', {})
    return {
      url,
      id: status.header.member_id,
      leader: status.leader,
      raftTerm: status.raftTerm,
      dbSizeBytes: Number(status.dbSize),
      errors: status.errors ?? [],
    }
  })
}

/** Which member leads: its status as it says it itself; null while there is no leader, or it does not answer. */
export async function leader(urls: readonly string[], credentials: EtcdCredentials): Promise<MemberStatus | null> {
  const statuses = await Promise.all(urls.map((url) => memberStatus(url, credentials).catch(() => null)))
  return statuses.find((status) => status !== null && status.leader === status.id) ?? null
}

/** Client URLs by member name, as the cluster has them. */
export function memberList(
  url: string,
  credentials: EtcdCredentials,
): Promise<readonly { readonly id: string; readonly name: string; readonly clientUrls: readonly string[] }[]> {
  return withEndpoint(url, credentials, async (endpoint) => {
    const { members } = await ask<IMemberListResponse>(endpoint, 'Cluster', 'memberList', {})
    return members.map((member) => ({ id: member.ID, name: member.name, clientUrls: member.clientURLs }))
  })
}

/** The present leader hands over; only it takes this request. @throws HandoffError STORE_UNREACHABLE */
export function moveLeader(options: { readonly leaderUrl: string; readonly to: string }, credentials: EtcdCredentials): Promise<void> {
  return withEndpoint(options.leaderUrl, credentials, async (endpoint) => {
    await ask(endpoint, 'Maintenance', 'moveLeader', { targetID: options.to }, 2000)
  })
}

export type LeaderPlace = 'elsewhere' | 'moved' | 'nowhere better'

/**
 * Losing etcd's leader together with the active copy costs a takeover the length of an election. If the member at `off` leads, this
 * moves the leader to the first of `prefer` (a witness first) that answers and follows.
 */
export async function keepLeaderOff(options: { readonly off: string; readonly prefer: readonly string[] }, credentials: EtcdCredentials): Promise<LeaderPlace> {
  const own = await memberStatus(options.off, credentials)
  if (own.leader !== own.id) return 'elsewhere'
  for (const url of options.prefer) {
    if (url === options.off) continue
    const candidate = await memberStatus(url, credentials).catch(() => null)
    if (candidate === null || candidate.leader !== own.id || candidate.errors.length > 0) continue
    try {
      await moveLeader({ leaderUrl: options.off, to: candidate.id }, credentials)
      return 'moved'
    } catch {
      // The next one may be nearer to the end of the log.
    }
  }
  return 'nowhere better'
}

async function withEndpoint<T>(url: string, credentials: EtcdCredentials, use: (endpoint: Endpoint) => Promise<T>): Promise<T> {
  const endpoint = new Endpoint(url, credentials)
  try {
    return await use(endpoint)
  } finally {
    endpoint.close()
  }
}

async function ask<T>(endpoint: Endpoint, service: 'Maintenance' | 'Cluster', method: string, payload: unknown, timeoutMs = askMs): Promise<T> {
  const result = await endpoint.call<T>(service, method, payload, { deadlineMs: monotonicMs() + timeoutMs })
  if (result.kind === 'failure') throw new HandoffError('STORE_UNREACHABLE', `etcd member ${endpoint.url} did not answer "${method}": ${result.why}`)
  return result.value
}
