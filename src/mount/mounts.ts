import { z } from 'zod'

/**
 * The one value in which the cluster half and the mail half meet. `handoffd` writes it as JSON lines to each `handoff-mailbox` that
 * connects to its Unix socket: the full state, again on every change. The reader keeps the last one while `handoffd` is away, so a
 * restart of the cluster service disturbs nobody.
 */
const port = z.number().int().min(0).max(65535)

export const listenerProtocols = ['smtp', 'submission', 'submissions', 'lmtp', 'imap', 'imaps', 'sieve', 'http', 'https'] as const
export type ListenerProtocol = (typeof listenerProtocols)[number]

const serverMount = z.object({
  /** The virtual name: greetings, Received lines, certificates. */
  name: z.string().min(1),
  /** DNS name of the virtual address, which clients are told. */
  hostName: z.string().min(1).optional(),
  /** The virtual address (or several). It may reach the interface some milliseconds after `serving` is told. */
  address: z.union([z.string().min(1), z.array(z.string().min(1))]),
  /** True while this node holds the server's group. */
  serving: z.boolean(),
  databases: z.array(z.string()),
  ports: z.object({
    smtp: port.optional(),
    submission: port.optional(),
    submissions: port.optional(),
    lmtp: port.optional(),
    imap: port.optional(),
    imaps: port.optional(),
    sieve: port.optional(),
    http: port.optional(),
    https: port.optional(),
  }),
})

const databaseMount = z.object({
  name: z.string().min(1),
  storageGroup: z.string(),
  /** The epoch of the active copy at host:port; each write transaction is checked against the one the instance was promoted with. */
  epoch: z.number().int().min(0),
  /** A directory (absolute path) means the Unix socket in it. */
  host: z.string().min(1),
  port,
  user: z.string(),
  password: z.string().optional(),
  /** Commands wait instead of being sent: a handoff or failover is under way. */
  held: z.boolean(),
})

export const mountsMessage = z.object({ type: z.literal('mounts'), servers: z.array(serverMount), databases: z.array(databaseMount) })

export type ServerMount = z.infer<typeof serverMount>
export type DatabaseMount = z.infer<typeof databaseMount>
export type MountsMessage = z.infer<typeof mountsMessage>

export const noMounts: MountsMessage = { type: 'mounts', servers: [], databases: [] }

export function addressesOf(server: ServerMount): readonly string[] {
  return typeof server.address === 'string' ? [server.address] : server.address
}
