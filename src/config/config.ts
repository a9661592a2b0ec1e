import { readFileSync } from 'node:fs'
import { parseDocument } from 'yaml'
import { z } from 'zod'
import { HandoffError } from '../errors.ts'

const name = z.string().regex(/^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/, 'wanted 1 to 32 small letters, digits and hyphens')
const port = z.number().int().min(1).max(65535)
const address = z.union([z.ipv4(), z.ipv6()], 'wanted an IPv4 or IPv6 address')

const tls = z.strictObject({
  caFile: z.string().describe('certificate authority, PEM'),
  certFile: z.string().describe('certificate of this node, PEM'),
  keyFile: z.string().describe('its key, PEM'),
})

const store = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('embedded'),
    endpoint: z
      .string()
      .regex(/^(\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}$/, 'wanted host:port')
      .describe('host:port of the embedded store: one process, for one machine'),
    serve: z.boolean().default(false).describe('this node runs that process'),
  }),
  z.strictObject({
    kind: z.literal('etcd'),
    managed: z.boolean().default(false).describe('handoffd starts and supervises the etcd member of this node'),
    endpoints: z.array(z.string()).min(1).describe('client URLs, the nearest first'),
    members: z
      .array(z.strictObject({ name, peerUrl: z.url(), clientUrl: z.url() }))
      .default([])
      .describe('with managed: every member of the etcd cluster; the one named as this node is started here'),
    heartbeatMs: z.number().int().min(10).max(1000).default(30).describe('with managed: etcd heartbeat interval in ms'),
    electionMs: z.number().int().min(50).max(10_000).default(300).describe('with managed: etcd election timeout in ms'),
    tls: tls.optional(),
    user: z.string().optional(),
    passwordFile: z.string().optional(),
  }),
])

/** One node's configuration file. Every field has a default or is required; the sample file and the manual are printed from the descriptions. */
export const nodeConfigSchema = z
  .strictObject({
    cluster: name.describe('name of the cluster'),
    node: name.describe('name of this node, unlike every other'),
    role: z.enum(['data', 'witness', 'standby-site']).default('data').describe('data: may own groups; witness: votes and listens only'),
    dataDirectory: z
      .string()
      .startsWith('/', 'wanted an absolute path')
      .max(90, 'wanted at most 90 characters: the Unix sockets in it have names of at most 107 bytes (unix(7))')
      .describe('everything that this node keeps'),
    secretFile: z
      .string()
      .startsWith('/', 'wanted an absolute path')
      .describe('the cluster secret, the same file on every node; made by `handoff cluster secret --write FILE`'),
    networks: z
      .array(
        z.strictObject({
          name,
          role: z.enum(['private', 'public', 'mixed']).default('mixed').describe('private: heartbeats and replication; public: clients, and heartbeats too'),
          address: address.describe('address of this node on the network'),
          interface: z.string().optional().describe('interface of the virtual addresses of this network; found by the address when left out'),
        }),
      )
      .min(1)
      .describe('the networks that the nodes share'),
    heartbeat: z
      .strictObject({
        port: port.default(7946).describe('UDP port'),
        intervalMs: z.number().int().min(50).max(4000).default(100).describe('ms between two heartbeats'),
        threshold: z.number().int().min(3).max(120).default(5).describe('intervals without a heartbeat before a node counts as silent'),
      })
      .prefault({}),
    watchdog: z
      .strictObject({
        device: z.string().startsWith('/', 'wanted an absolute path').default('/dev/watchdog').describe('the device'),
        feedEveryMs: z.number().int().min(100).max(30_000).default(1000).describe('ms between two feeds; well below the timeout of the device'),
      })
      .optional()
      .describe('restarts the machine when the guardian does not run, or cannot take down what is past its deadline; none when left out'),
    store: store.describe('the cluster database'),
    postgres: z
      .strictObject({
        binDirectory: z.string().default('/usr/lib/postgresql/15/bin').describe('where postgres, initdb, pg_basebackup, pg_rewind and pg_waldump are'),
        listen: z.array(z.string()).default(['*']).describe('addresses that the copies listen on; on one machine, the address of the node'),
        clientNetworks: z.array(z.string()).default([]).describe('networks, in CIDR notation, from which plain SQL clients may log in'),
        clientMethod: z.enum(['scram-sha-256', 'trust']).default('scram-sha-256').describe('how plain SQL clients prove who they are'),
        settings: z.record(z.string(), z.string()).default({}).describe('further settings for postgresql.conf'),
      })
      .prefault({}),
    mailbox: z
      .strictObject({
        enabled: z.boolean().default(true).describe('run the mailbox service on this node (data nodes only)'),
        workers: z.number().int().min(1).max(64).default(2).describe('worker processes'),
        certFile: z.string().optional().describe('TLS certificate of the listeners, PEM; a self-signed one is made when left out'),
        keyFile: z.string().optional(),
        clearTextLogin: z.enum(['refused', 'allowed']).default('refused').describe('logins without TLS: only where nobody else is on the wire'),
        relay: z
          .string()
          .regex(/^(\[[0-9a-f:.]+\]|[^\s:[\]]+):\d{1,5}$/i, 'wanted host:port')
          .optional()
          .describe('all mail for other servers goes to this one; by their MX records when left out'),
        verify: z
          .enum(['refuse', 'mark', 'off'])
          .default('refuse')
          .describe('SPF, DKIM, ARC and DMARC of mail of other servers: refuse what its domain asks to be refused, mark only, or nothing'),
        trustedNetworks: z
          .array(z.string().regex(/^[0-9a-f.:]+\/\d{1,3}$/i, 'wanted CIDR notation'))
          .default([])
          .describe('servers of our own, beside this machine: their mail is not verified'),
        trustedSealers: z.array(z.string()).default([]).describe('domains of forwarders whose ARC seals are believed'),
        nameServers: z
          .array(z.string().regex(/^(\[[0-9a-f:.]+\](:\d+)?|[0-9.]+(:\d+)?)$/i, 'wanted an address, or address:port'))
          .default([])
          .describe('instead of those of the system'),
        loginDomain: z.string().min(1).optional().describe('completes a login name without "@"'),
      })
      .prefault({}),
    logLevel: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
  })
  .superRefine((config, context) => {
    const addresses = config.networks.map((network) => network.address)
    if (new Set(addresses).size !== addresses.length) context.addIssue({ code: 'custom', path: ['networks'], message: 'two networks have the same address' })
    if (new Set(config.networks.map((network) => network.name)).size !== config.networks.length)
      context.addIssue({ code: 'custom', path: ['networks'], message: 'two networks have the same name' })
    if (config.store.kind === 'etcd' && config.store.managed) {
      if (!config.store.members.some((member) => member.name === config.node) && config.role !== 'standby-site')
        context.addIssue({
          code: 'custom',
          path: ['store', 'members'],
          message: `no member is named "${config.node}": with managed, each voter runs a member of its own name`,
        })
      if (config.store.electionMs < 5 * config.store.heartbeatMs)
        context.addIssue({
          code: 'custom',
          path: ['store', 'electionMs'],
          message: 'the election timeout must be at least five heartbeats: a single late one would depose the leader',
        })
    }
  })

export type Config = z.infer<typeof nodeConfigSchema>

/**
 * Reads and validates a node's configuration file; nothing else is touched.
 * @throws HandoffError CONFIG_UNREADABLE, CONFIG_INVALID with every fault at once, each with its key
 */
export function readConfig(file: string): Config {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    throw new HandoffError('CONFIG_UNREADABLE', `cannot read the configuration file "${file}": ${(cause as Error).message}`, { cause })
  }
  return parseConfig(text, file)
}

export function parseConfig(text: string, file: string): Config {
  const document = parseDocument(text, { prettyErrors: true })
  const fault = document.errors[0]
  if (fault !== undefined) throw new HandoffError('CONFIG_UNREADABLE', `"${file}" is not valid YAML: ${fault.message}`, { cause: fault })
  const result = nodeConfigSchema.safeParse(document.toJS())
  if (result.success) return result.data
  const faults = result.error.issues.map((issue) => describeIssue(issue))
  throw new HandoffError(
    'CONFIG_INVALID',
    `"${file}" has ${faults.length} fault${faults.length === 1 ? '' : 's'}:\n${faults.map((line) => `  - ${line}`).join('\n')}`,
  )
}

function describeIssue(issue: z.core.$ZodIssue): string {
  const key = issue.path.length === 0 ? '(top level)' : issue.path.map(String).join('.')
  if (issue.code === 'unrecognized_keys') {
    const at = issue.path.length === 0 ? '' : `${key}.`
    return `${issue.keys.map((unknown) => `${at}${unknown}`).join(', ')}: unknown key; check its spelling and indentation`
  }
  return `${key}: ${issue.message}`
}
