import type { StandbyProgress } from '../replication/instance.ts'
import type { Layout } from './layout.ts'

export type NodeId = StandbyProgress['node']

/** Where the log of another node's copy can be followed. */
export interface Upstream {
  readonly node: NodeId
  readonly host: string
  readonly port: number
}

/** What one copy is made of; the same for its whole life. Values that differ between primary and standby are in `Part`. */
export interface CopySettings {
  readonly group: string
  readonly node: NodeId
  readonly port: number
  readonly listen: readonly string[]
  /** Lines of pg_hba.conf that let plain SQL clients in while the gate is open. */
  readonly clientRules: readonly string[]
  /** Networks of the cluster's nodes, CIDR or `all`: replication and the mailbox service come from there. */
  readonly clusterNetworks: readonly string[]
  readonly replicatorPassword: string
  /** Cap on the log kept for a copy that is away, as PostgreSQL writes sizes. */
  readonly slotKeepSize: string
  /** The operator's own settings; they cannot override the ones that correctness stands on. */
  readonly extra: Readonly<Record<string, string>>
}

/** The part a copy plays, as its settings say it. */
export type Part =
  | { readonly kind: 'standby'; readonly upstream: Upstream | null }
  | { readonly kind: 'primary'; readonly epoch: number; readonly gate: 'open' | 'closed'; readonly standbyNames: string }

export const handoffRole = 'handoff'
export const replicatorRole = 'replicator'

/** `postgresql.conf`, whole, for a part. PostgreSQL manual, "Server Configuration". */
export function renderConfig(settings: CopySettings, layout: Layout, part: Part): string {
  const required = { ...fixedSettings(settings, layout), ...partSettings(settings, part) }
  const lines = Object.entries({ ...defaultSettings, max_slot_wal_keep_size: settings.slotKeepSize, ...settings.extra, ...required })
  return `# Written by Handoff for storage group ${settings.group}; changes are overwritten. Put yours under postgres.settings in the node's configuration.\n${lines
    .map(([name, value]) => `${name} = ${quoteSetting(value)}\n`)
    .join('')}`
}

const defaultSettings: Readonly<Record<string, string>> = {
  max_connections: '200',
  shared_buffers: '128MB',
  max_wal_size: '1GB',
  // Enough recycled 1 MB segments for a while of mail: a new one has to be filled with zeros first.
  min_wal_size: '128MB',
  wal_keep_size: '256MB',
  checkpoint_timeout: '5min',
  max_wal_senders: '20',
  max_replication_slots: '20',
  wal_sender_timeout: '5s',
  wal_receiver_timeout: '5s',
  wal_receiver_status_interval: '1s',
  tcp_keepalives_idle: '2',
  tcp_keepalives_interval: '1',
  tcp_keepalives_count: '3',
  log_line_prefix: '%m [%p] ',
  log_timezone: 'UTC',
  timezone: 'UTC',
  log_checkpoints: 'off',
}

const fixedSettings = (settings: CopySettings, layout: Layout): Readonly<Record<string, string>> => ({
  listen_addresses: settings.listen.join(','),
  port: String(settings.port),
  unix_socket_directories: layout.socketDirectory,
  hba_file: layout.hbaFile,
  ident_file: layout.identFile,
  logging_collector: 'off',
  password_encryption: 'scram-sha-256',
  wal_level: 'replica',
  fsync: settings.extra['fsync'] ?? 'on',
  full_page_writes: 'on',
  synchronous_commit: 'on',
  hot_standby: 'on',
  // Tells when the first write after a failover was committed.
  track_commit_timestamp: 'on',
  // Every crash ends the postmaster, and whoever started it knows at once.
  restart_after_crash: 'off',
  // Standbys look for the log again at once; at the default of 5 s a synchronous commit hangs that long after each restart.
  wal_retrieve_retry_interval: '100ms',
  recovery_target_timeline: 'latest',
})

function partSettings(settings: CopySettings, part: Part): Readonly<Record<string, string>> {
  if (part.kind === 'standby')
    return {
      primary_conninfo: part.upstream === null ? '' : connectionString({ ...part.upstream, password: settings.replicatorPassword, name: settings.node }),
      primary_slot_name: part.upstream === null ? '' : slotName(settings.node),
      synchronous_standby_names: '',
      'handoff.epoch': '0',
      'handoff.gate': 'closed',
      'handoff.upstream': part.upstream?.node ?? '',
    }
  return {
    primary_conninfo: '',
    primary_slot_name: '',
    synchronous_standby_names: part.standbyNames,
    // A session that was let in a moment before the gate closed reads this before its first command.
    default_transaction_read_only: part.gate === 'closed' ? 'on' : 'off',
    'handoff.epoch': String(part.epoch),
    'handoff.gate': part.gate,
    'handoff.upstream': '',
  }
}

/** The settings that decide about safety: one left behind by ALTER SYSTEM would override ours. */
export const managedSettings: readonly string[] = [
  'listen_addresses',
  'port',
  'unix_socket_directories',
  'hba_file',
  'ident_file',
  'wal_level',
  'fsync',
  'full_page_writes',
  'synchronous_commit',
  'hot_standby',
  'restart_after_crash',
  'wal_retrieve_retry_interval',
  'recovery_target_timeline',
  'primary_conninfo',
  'primary_slot_name',
  'synchronous_standby_names',
  'default_transaction_read_only',
  'handoff.epoch',
  'handoff.gate',
  'handoff.upstream',
  'restore_command',
  'recovery_target',
] // prettier-ignore

/** `postgresql.auto.conf` without the settings that are ours. */
export function withoutManaged(autoConfig: string): string {
  return autoConfig
    .split('\n')
    .filter((line) => !managedSettings.includes(/^\s*([\w.]+)/.exec(line)?.[1]?.toLowerCase() ?? ''))
    .join('\n')
}

/**
 * `pg_hba.conf`. Closed: only the cluster service (over the Unix socket) and replication may log in; the latter includes
 * pg_rewind, which reads files over an ordinary session in the database postgres.
 */
export function renderHba(settings: CopySettings, gate: 'open' | 'closed'): string {
  const lines = [`local all ${handoffRole} scram-sha-256`]
  for (const network of settings.clusterNetworks)
    lines.push(`host replication ${replicatorRole} ${network} scram-sha-256`, `host postgres ${replicatorRole} ${network} scram-sha-256`)
  lines.push(`host all ${replicatorRole} all reject`)
  if (gate === 'open') {
    for (const network of settings.clusterNetworks) lines.push(`host all ${handoffRole} ${network} scram-sha-256`)
    lines.push(`host all ${handoffRole} all reject`, ...settings.clientRules)
  }
  return `# Written by Handoff. The gate is ${gate}.\n${lines.join('\n')}\n`
}

/** Every commit waits for all of them; the order carries no meaning for PostgreSQL then, but see `synchronous-set.ts`. */
export function renderStandbyNames(names: readonly string[], waitFor = names.length): string {
  if (names.length === 0) return ''
  return `FIRST ${waitFor} (${names.map((name) => `"${name.replaceAll('"', '""')}"`).join(',')})`
}

export function parseStandbyNames(text: string): string[] {
  return [...text.matchAll(/"((?:[^"]|"")*)"/g)].map((match) => (match[1] ?? '').replaceAll('""', '"'))
}

/** A physical slot for each other node. Slot names: small letters, digits, underscore (PostgreSQL manual, "Replication Slots"). */
export const slotName = (node: NodeId): string =>
  `handoff_${node
    .toLowerCase()
    .replaceAll('-', '__')
    .replaceAll(/[^a-z0-9_]/g, (char) => `_${char.codePointAt(0)?.toString(16)}_`)}`.slice(0, 63)

export function connectionString(to: {
  readonly host: string
  readonly port: number
  readonly password: string
  readonly name: string
  readonly database?: string
}): string {
  const parts: Readonly<Record<string, string>> = {
    host: to.host,
    port: String(to.port),
    user: replicatorRole,
    password: to.password,
    application_name: to.name,
    ...(to.database === undefined ? {} : { dbname: to.database }),
    connect_timeout: '3',
    // libpq's asynchronous connection, which the walreceiver uses, has no timeout of its own: without this one a connection begun in a cut hangs for minutes after it.
    tcp_user_timeout: '2000',
    keepalives_idle: '2',
    keepalives_interval: '1',
    keepalives_count: '3',
    gssencmode: 'disable',
  }
  return Object.entries(parts)
    .map(([name, value]) => `${name}='${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`)
    .join(' ')
}

const quoteSetting = (value: string): string => `'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
