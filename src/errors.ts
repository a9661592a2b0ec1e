/**
 * The error value that a person can see: a stable code, what happened, why, and what to do next.
 * Codes are registered here, in one table, so that each has a remedy and a page in the manual.
 */
export interface ErrorEntry {
  /** One sentence for the manual: when this happens. */
  readonly when: string
  /** What the operator can do. May be sharpened by the place that throws. */
  readonly remedy: string
}

export const errorRegister = {
  CONFIG_UNREADABLE: {
    when: 'The node configuration file is missing or is not valid YAML.',
    remedy: 'Check the path given with --config and the line that the message names.',
  },
  CONFIG_INVALID: {
    when: 'The node configuration has unknown keys or wrong values.',
    remedy: 'Correct the keys listed; `handoffd --sample-config` prints a commented example.',
  },
  SECRET_UNREADABLE: {
    when: 'The cluster secret file is missing, unreadable or too short.',
    remedy: 'Make one with `handoff cluster secret --write FILE` on one node and copy it to the others (mode 0600).',
  },
  CLUSTER_EXISTS: {
    when: 'A cluster was to be created in a cluster database that has one already.',
    remedy: 'Use the existing one (`handoff cluster status`), or give this one another name and store.',
  },
  CLUSTER_MISSING: { when: 'A command needs a cluster and none has been created yet.', remedy: 'Run `handoff cluster create` once, on any node.' },
  NODE_NAME_TAKEN: {
    when: 'Another machine has joined the cluster under this name.',
    remedy: 'Give this node a name of its own, or remove the other one, or (a reinstalled machine) restore its data directory.',
  },
  NODE_ADDRESS_TAKEN: {
    when: 'Another node has this address on one of its networks.',
    remedy: 'Correct the address in the configuration of the node that has it wrong.',
  },
  NODE_UNKNOWN: { when: 'A command names a node that is not in the cluster.', remedy: '`handoff node list` shows the nodes.' },
  GROUP_UNKNOWN: { when: 'A command names a group that does not exist.', remedy: '`handoff group list` shows the groups.' },
  GROUP_EXISTS: { when: 'A group with this name exists.', remedy: 'Choose another name; `handoff group list` shows those taken.' },
  DATABASE_UNKNOWN: { when: 'A command names a mailbox database that does not exist.', remedy: 'Create it with `handoff database create`.' },
  DATABASE_EXISTS: { when: 'A mailbox database with this name exists.', remedy: 'Choose another name.' },
  ADDRESS_TAKEN: { when: 'A virtual address belongs to another group or to a node.', remedy: 'Choose a free address of the public network.' },
  PORT_TAKEN: { when: 'Another storage group uses this PostgreSQL port.', remedy: 'Choose another one with --port.' },
  MOVE_REFUSED: { when: 'A planned move cannot be done now.', remedy: 'The message names the reason; `handoff copy status` shows the copies.' },
  REQUEST_PENDING: { when: 'Another request for the group is being worked on.', remedy: 'Wait until it is done; it expires by itself.' },
  REQUEST_INVALID: { when: 'A request to the admin API has unknown fields or wrong values.', remedy: 'Correct the fields named.' },
  DECISION_UNKNOWN: { when: 'No decision record with that number exists.', remedy: '`handoff explain` lists them.' },
  NOT_LOCAL: { when: 'The command must be run on another node.', remedy: 'Run it on the node that the message names.' },
  DAEMON_UNREACHABLE: {
    when: 'handoffd does not answer on its Unix socket.',
    remedy: 'Start it (`handoffd --config FILE`), or give the right --config or --socket.',
  },
  MAILBOX_SERVICE_UNREACHABLE: {
    when: 'The mailbox service of this node does not answer.',
    remedy: '`handoff cluster status` and the log of handoff-mailbox tell why; it is restarted by itself.',
  },
  NODE_ALREADY_RUNNING: { when: 'Another handoffd uses this data directory.', remedy: 'Stop it first, or give this node a data directory of its own.' },
  DATA_DIRECTORY_FOREIGN: {
    when: 'The data directory belongs to another node or cluster.',
    remedy: 'Move it away, or correct dataDirectory, node or cluster in the configuration.',
  },
  DATA_DIRECTORY_UNUSABLE: {
    when: 'The data directory cannot be made, written or read.',
    remedy: 'Check dataDirectory: a directory on a disk with space, writable by the user that runs handoffd.',
  },
  HEARTBEAT_PORT_IN_USE: {
    when: 'Another process listens on the UDP port of the heartbeats when this node starts.',
    remedy: 'Stop the other process (`ss -lunp` shows it), or choose another heartbeat.port.',
  },
  HEARTBEAT_NOT_BOUND: {
    when: 'This node cannot listen for heartbeats on one of its networks.',
    remedy:
      'EADDRNOTAVAIL: no interface has the address; bring it up, or correct it under networks. EADDRINUSE: another process has the port (`ss -lunp`). It is tried again by itself.',
  },
  LISTENER_NOT_OPEN: {
    when: 'The mailbox service cannot listen on an address and port of a server that it serves.',
    remedy:
      'EADDRINUSE: stop the other process (`ss -ltnp` shows it). EADDRNOTAVAIL: no interface has the address. EACCES: ports below 1024 need root or CAP_NET_BIND_SERVICE. It is tried again by itself.',
  },
  CLOCK_SKEW: {
    when: 'The clock of a node is far from the others.',
    remedy: 'Set up time synchronisation (chrony). Failover does not depend on it; logs, mail dates and certificates do.',
  },
  WAIT_TIMED_OUT: {
    when: 'What was asked for was begun, but was not done within the time that the command waits.',
    remedy: 'It may still come: look at `handoff group list` and `handoff events`.',
  },
  CERTIFICATE_UNREADABLE: {
    when: 'The TLS certificate or key of the mailbox service cannot be read.',
    remedy: 'Check mailbox.certFile and mailbox.keyFile: both PEM, readable by the user that runs handoff-mailbox.',
  },
  CERTIFICATE_NOT_MADE: {
    when: 'No certificate is configured and a self-signed one could not be made.',
    remedy: 'Install openssl, or give mailbox.certFile and mailbox.keyFile.',
  },
  SOCKET_IN_USE: {
    when: 'Another process answers on the control socket of the mailbox service.',
    remedy: 'Stop the other handoff-mailbox, or give this one a controlSocket of its own.',
  },
  POSTGRES_MISSING: {
    when: "PostgreSQL's programs are not where the configuration says, or cannot be run.",
    remedy: 'Install PostgreSQL 15 or newer, or correct postgres.binDirectory.',
  },
  POSTGRES_VERSION_MISMATCH: {
    when: 'The installed PostgreSQL is of another major version than the data directory.',
    remedy: 'Point postgres.binDirectory at the version that made the directory, or upgrade the storage group with pg_upgrade.',
  },
  POSTGRES_USER_MISSING: {
    when: 'The cluster service is root and the user that PostgreSQL should run as does not exist.',
    remedy: "Install the system's PostgreSQL packages, which make the user `postgres`, or run the service as another user.",
  },
  POSTGRES_PORT_IN_USE: {
    when: 'Another process listens on the address and port of a copy.',
    remedy: 'Stop the other process (`ss -ltnp` shows it), or give the storage group another port.',
  },
  POSTGRES_FOREIGN_DATA: {
    when: "The data directory of a copy holds another cluster's storage group.",
    remedy: 'Move the directory away, or correct dataDirectory; the copy is then seeded anew.',
  },
  POSTGRES_DISK_FULL: {
    when: 'A volume of the copy has no space left.',
    remedy: 'Make space on the volume that the message names; it is tried again by itself.',
  },
  POSTGRES_START_FAILED: {
    when: 'PostgreSQL ended while it was starting, or did not become ready in time.',
    remedy: "The message has the last lines of PostgreSQL's log; the copy's log directory has the rest. It is tried again by itself.",
  },
  POSTGRES_PROGRAM_FAILED: {
    when: "One of PostgreSQL's programs (initdb, pg_basebackup, pg_rewind, pg_waldump) failed or was cancelled.",
    remedy: 'The message has the last lines that it wrote. It is tried again by itself.',
  },
  POSTGRES_NOT_RUNNING: {
    when: 'An action needs a running copy, and it is stopped or absent.',
    remedy: '`handoff copy status` shows the copies; it is started by itself.',
  },
  POSTGRES_WRONG_STATE: {
    when: 'An action does not fit what the copy is: a promotion of an active copy, a seed over a copy that runs.',
    remedy: '`handoff copy status` shows the copies; the action is decided again by itself.',
  },
  POSTGRES_TIMEOUT: {
    when: 'PostgreSQL did not answer or did not get there within the time set.',
    remedy: "Look at the load and the disks of the node, and at PostgreSQL's log.",
  },
  POSTGRES_UPSTREAM_UNREACHABLE: {
    when: 'The active copy that a passive one should follow cannot be reached or refuses it.',
    remedy: 'Check the private network and that both nodes have the same cluster secret; it is tried again by itself.',
  },
  POSTGRES_PROBE_FAILED: {
    when: 'The bounded write and read on a volume of the copy, or its query, failed or took too long.',
    remedy: 'Check the disk; the group is handed to a healthy copy by itself.',
  },
  STORE_UNREACHABLE: {
    when: 'The cluster database did not answer; what was asked was surely not done.',
    remedy:
      'Check the store endpoints and the etcd members (`etcdctl endpoint status --cluster`); it is tried again by itself, and groups that are online stay online.',
  },
  STORE_OUTCOME_UNKNOWN: {
    when: 'The cluster database did not answer a change that it may have carried out.',
    remedy: 'Look at the present state before asking again; the cluster service does so by itself.',
  },
  STORE_REFUSED: {
    when: 'The cluster database answered and refused: no permission, no space, or a request it does not take.',
    remedy:
      'The message has its words. No space: raise the quota, compact and defragment (etcd manual, "Maintenance"). No permission: check store.user and its role.',
  },
  STORE_LEASE_EXPIRED: { when: 'A key was to be attached to a lease that has run out.', remedy: 'A new session is made by itself.' },
  STORE_CREDENTIALS_UNREADABLE: {
    when: 'A certificate, key or password file of the cluster database cannot be read.',
    remedy: 'Check store.tls and store.passwordFile: PEM files and a plain text file, readable by the user that runs handoffd.',
  },
  STORE_DAMAGED: {
    when: 'The file of the embedded store is damaged before its end, so that acknowledged changes are missing.',
    remedy: 'Check the disk. Restore the directory from a backup, or move it away and create the cluster again.',
  },
  STORE_DIRECTORY_IN_USE: {
    when: 'Another process has the data directory of the embedded store open.',
    remedy: 'Stop the other process, or give this one a directory of its own.',
  },
  STORE_ADDRESS_UNUSABLE: {
    when: 'The embedded store cannot listen on its address.',
    remedy: 'Correct store.endpoint: host:port, with an address of this machine.',
  },
  STORE_ADDRESS_IN_USE: {
    when: 'Another process listens where the embedded store should.',
    remedy: 'Stop the other process (`ss -ltnp` shows it), or choose another store.endpoint on all nodes.',
  },
  ETCD_MISSING: {
    when: "etcd's programs are not installed or cannot be run.",
    remedy: 'Install etcd 3.4 or newer (Debian: etcd-server and etcd-client), or use an existing cluster with store.managed: false.',
  },
  ETCD_PORT_IN_USE: {
    when: 'Another process listens on the peer or client address of the managed etcd member.',
    remedy: "Stop the other process (`ss -ltnp` shows it; Debian's own service: `systemctl disable --now etcd`), or choose another port in store.members.",
  },
  ETCD_FOREIGN_DATA: {
    when: "The data directory of the managed etcd member holds another member's or another cluster's data.",
    remedy: 'Move the directory away, or correct node, dataDirectory or store.members.',
  },
  GUARDIAN_START_FAILED: {
    when: 'The guardian did not start or does not answer on its socket.',
    remedy: "The guardian's log in the node's log directory tells why.",
  },
  ADDRESS_IN_USE: {
    when: 'Another host answers for an address that is to become a virtual address.',
    remedy: 'Choose a free address, or take it off the other host (`arping -I INTERFACE ADDRESS` shows its hardware address).',
  },
  ADDRESS_NO_INTERFACE: {
    when: 'No interface of this node is in the subnet of a virtual address.',
    remedy: 'Correct the address, or name the interface in the configuration of the network.',
  },
  ADDRESS_NOT_CLAIMED: {
    when: 'A virtual address could not be put on its interface.',
    remedy: "The message has ip's words. The cluster service must run as root, or with CAP_NET_ADMIN, to hold addresses; it is tried again by itself.",
  },
  ADDRESS_NOT_RELEASED: {
    when: 'A virtual address could not be taken off its interface.',
    remedy: "The message has ip's words; remove it with `ip addr del` if another node holds it by now.",
  },
  ETCD_START_FAILED: {
    when: 'The managed etcd member ended while it was starting, or does not answer.',
    remedy: 'The message has the last lines of its log. It is started again by itself.',
  },
  DATABASE_UNAVAILABLE: {
    when: 'A mailbox database was held or out of reach for longer than a command waits.',
    remedy: '`handoff copy status` and `handoff group list` show its storage group; the client may try again.',
  },
  DATABASE_TOO_NEW: {
    when: 'The schema of a mailbox database was made by a newer version of the program.',
    remedy: 'Run the newer version of handoff-mailbox on every node.',
  },
  ACCOUNT_EXISTS: { when: 'An account or alias with this address exists.', remedy: 'Choose another address; `handoff mailbox list` shows those taken.' },
  ACCOUNT_UNKNOWN: { when: 'No account has this address.', remedy: '`handoff mailbox list` shows the accounts.' },
  ACCOUNT_INVALID: { when: 'An address or a password cannot be taken.', remedy: 'The message says what is wrong with it.' },
  QUEUED_MESSAGE_UNKNOWN: {
    when: 'No message of this number is in the queue, nor was in the last days.',
    remedy: 'handoff queue list tells those that are on their way.',
  },
  SIGNING_KEY_EXISTS: { when: 'There is a key of this domain and selector.', remedy: 'Choose another --selector, or remove that key.' },
  SIGNING_KEY_INVALID: {
    when: 'A domain or selector of a signing key cannot be in the DNS.',
    remedy: 'Use a domain name, and letters, digits and hyphens in the selector.',
  },
  SIGNING_KEY_UNKNOWN: { when: 'There is no such signing key.', remedy: 'handoff signing-key list shows those that are there.' },
  MAILBOX_UNKNOWN: { when: 'A mailbox does not exist, or no longer.', remedy: 'List the mailboxes again.' },
  MAILBOX_EXISTS: { when: 'A mailbox of this name exists.', remedy: 'Choose another name.' },
  SIEVE_SCRIPT_ACTIVE: { when: 'An active Sieve script was to be deleted.', remedy: 'Activate another one, or none, and delete it then.' },
  SIEVE_SCRIPT_EXISTS: { when: 'A Sieve script of this name exists.', remedy: 'Choose another name.' },
  SIEVE_SCRIPT_LIMIT: {
    when: 'An account has as many Sieve scripts as it may have.',
    remedy: 'Delete one that is not needed.',
  },
  SIEVE_SCRIPT_NAME_INVALID: {
    when: 'A Sieve script cannot have this name: it is empty, too long or has control characters.',
    remedy: 'Choose another name, of 1 to 128 characters.',
  },
  SIEVE_SCRIPT_TOO_LARGE: { when: 'A Sieve script is larger than a script may be.', remedy: 'Make it smaller.' },
  SIEVE_SCRIPT_UNKNOWN: { when: 'A Sieve script does not exist.', remedy: 'List the scripts.' },
  SIEVE_SCRIPT_INVALID: {
    when: 'A Sieve script has an error or asks for an extension that is not there; it was not stored.',
    remedy: 'Correct it at the line and column that the message names.',
  },
  MAILBOX_FIXED: { when: 'INBOX was to be deleted.', remedy: 'Delete its messages instead.' },
} as const satisfies Record<string, ErrorEntry>

export type ErrorCode = keyof typeof errorRegister

export class HandoffError extends Error {
  readonly code: ErrorCode
  readonly remedy: string
  /**
   * @param code a key of the register
   * @param message the action, the value in quotes, what was found and what was wanted
   * @param detail `remedy` replaces the register's general one; `cause` is the underlying error
   */
  constructor(code: ErrorCode, message: string, detail: { readonly remedy?: string; readonly cause?: unknown } = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause })
    this.name = 'HandoffError'
    this.code = code
    this.remedy = detail.remedy ?? errorRegister[code].remedy
  }
}

/** A bug, not an expected failure: stays on in production, because a node that doubts itself must stop serving. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${message}`)
}

/** Ends a switch in void code: a new variant fails to compile here. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`)
}
