/** The keys of the cluster database, relative to the cluster's prefix in `relative`, whole everywhere else. Nobody else spells them. */
const prefix = (cluster: string): string => `/handoff/${cluster}/`

export const StoreKey = {
  prefix,
  /** Id, name and format version of the cluster. */
  cluster: (cluster: string): string => `${prefix(cluster)}cluster`,
  nodes: (cluster: string): string => `${prefix(cluster)}nodes/`,
  node: (cluster: string, node: string): string => `${prefix(cluster)}nodes/${node}`,
  sessions: (cluster: string): string => `${prefix(cluster)}sessions/`,
  /** Attached to the node's lease. */
  session: (cluster: string, node: string): string => `${prefix(cluster)}sessions/${node}`,
  groups: (cluster: string): string => `${prefix(cluster)}groups/`,
  group: (cluster: string, group: string): string => `${prefix(cluster)}groups/${group}`,
  owners: (cluster: string): string => `${prefix(cluster)}owners/`,
  /** The ownership record: changed only by compare-and-swap on this key. */
  owner: (cluster: string, group: string): string => `${prefix(cluster)}owners/${group}`,
  requests: (cluster: string): string => `${prefix(cluster)}requests/`,
  request: (cluster: string, group: string): string => `${prefix(cluster)}requests/${group}`,
  refusal: (cluster: string, request: string): string => `${prefix(cluster)}refusals/${request}`,
  decisions: (cluster: string, group?: string): string => `${prefix(cluster)}decisions/${group === undefined ? '' : `${group}/`}`,
  /** Padded, so that the order of keys is the order of epochs. */
  decision: (cluster: string, group: string, epoch: number): string => `${prefix(cluster)}decisions/${group}/${String(epoch).padStart(9, '0')}`,
  databases: (cluster: string): string => `${prefix(cluster)}databases/`,
  database: (cluster: string, database: string): string => `${prefix(cluster)}databases/${database}`,
  events: (cluster: string): string => `${prefix(cluster)}events/`,
  /** Ordered by time, then by node and number within the node. */
  event: (cluster: string, event: { readonly atWallMs: number; readonly node: string; readonly number: number }): string =>
    `${prefix(cluster)}events/${String(event.atWallMs).padStart(15, '0')}-${event.node}-${event.number}`,
} as const
