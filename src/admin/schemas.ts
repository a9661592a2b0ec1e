import { z } from 'zod'

/** Shapes of the admin API: the one door for the command line and the console. */
const name = z.string().regex(/^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/, 'wanted 1 to 32 small letters, digits and hyphens')
/** RFC 1123 §2.1, of at least two labels. */
const hostName = z
  .string()
  .regex(/^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+$/i, 'wanted a domain name like mail.example.org')
const port = z.number().int().min(1).max(65535)

export const createCluster = z.strictObject({ name })

export const createStorageGroup = z.strictObject({
  name,
  /** Possible owners, the preferred (first owner) first. */
  nodes: z.array(name).min(1).max(16),
  /** Virtual addresses for plain SQL clients. */
  addresses: z.array(z.union([z.ipv4(), z.ipv6()])).default([]),
  /** TCP port of the instance on every node. */
  port: port.default(5432),
  failoverThreshold: z.number().int().min(1).max(100).optional(),
  failoverPeriodMs: z.number().int().min(1000).optional(),
})
export type CreateStorageGroup = z.infer<typeof createStorageGroup>

export const defaultServerPorts = { smtp: 25, submission: 587, submissions: 465, lmtp: 24, imap: 143, imaps: 993, sieve: 4190, http: 80, https: 443 }

export const createServer = z.strictObject({
  name,
  nodes: z.array(name).min(1).max(16),
  addresses: z.array(z.union([z.ipv4(), z.ipv6()])).min(1),
  databases: z.array(name).min(1),
  /** DNS name of the virtual address, which clients are told. */
  hostName: hostName.optional(),
  ports: z
    .strictObject({
      smtp: port.optional(),
      submission: port.optional(),
      submissions: port.optional(),
      lmtp: port.optional(),
      imap: port.optional(),
      imaps: port.optional(),
      sieve: port.optional(),
      http: port.optional(),
      https: port.optional(),
    })
    .default(defaultServerPorts),
  failoverThreshold: z.number().int().min(1).max(100).optional(),
  failoverPeriodMs: z.number().int().min(1000).optional(),
})
export type CreateServer = z.infer<typeof createServer>

export const createDatabase = z.strictObject({ name, storageGroup: name })

export const moveGroup = z.strictObject({
  /** Target node; the next able one when left out. */
  to: name.optional(),
  reason: z.string().max(500).default('asked for by an operator'),
  by: z.string().max(100).default('operator'),
  expiresInMs: z.number().int().min(100).max(600_000).default(15_000),
})
export type MoveGroup = z.infer<typeof moveGroup>

export interface NodeStatus {
  readonly node: string
  readonly role: string
  readonly state: 'up' | 'silent' | 'agent-away' | 'no-session'
  readonly paused: boolean
  readonly addresses: Readonly<Record<string, string>>
  /** Those on which clients come. */
  readonly clientNetworks: readonly string[]
  readonly networks: Readonly<Record<string, { readonly state: string; readonly heardMsAgo: number | null }>>
  readonly clockSkewMs: number | null
}

export interface CopyStatus {
  readonly group: string
  readonly node: string
  /** Exchange's words where they fit: Healthy, Initializing, Seeding, Resynchronizing, Failed, Stopped, ServiceDown; Active for the owner's. */
  readonly status: 'Active' | 'Healthy' | 'Initializing' | 'Seeding' | 'Resynchronizing' | 'Failed' | 'Stopped' | 'Absent' | 'ServiceDown'
  readonly inSync: boolean
  readonly streaming: boolean
  readonly receivedLsn: string | null
  readonly replayedLsn: string | null
  /** Bytes that the active copy has and this one has not received. */
  readonly copyQueueBytes: number | null
  /** Bytes received here and not yet replayed. */
  readonly replayQueueBytes: number | null
  readonly detail: string | null
}

export interface GroupStatus {
  readonly group: string
  readonly kind: 'storage-group' | 'server'
  readonly owner: string
  readonly epoch: number
  readonly state: 'online' | 'offline' | 'failed' | 'pending'
  readonly inSync: readonly string[]
  readonly nodes: readonly string[]
  readonly addresses: readonly string[]
  readonly databases: readonly string[]
  /** DNS name of the virtual address, where one was given. */
  readonly hostName?: string
  readonly ports: Readonly<Record<string, number>>
  readonly cause: string
  readonly sinceWallMs: number
}

export interface EventEntry {
  readonly atWallMs: number
  readonly node: string
  readonly level: 'info' | 'warning' | 'error'
  readonly code: string
  readonly group: string | null
  readonly message: string
}

/** RFC 9457 problem details, with the fields of every error here. */
export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly code: string
  readonly detail: string
  readonly remedy: string
}

/** `GET /api/v1/cluster`: everything as one node sees it. */
export interface ClusterStatus {
  readonly cluster: { readonly id: string; readonly name: string } | null
  readonly self: string
  readonly storeReachable: boolean
  readonly nodes: readonly NodeStatus[]
  readonly groups: readonly GroupStatus[]
  readonly copies: readonly CopyStatus[]
}
