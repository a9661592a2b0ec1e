import { type FailoverOptions, failoverPolicy, withFailoverOptions } from './failover-options.ts'
import type { Command } from 'commander'
import { zoneOf } from '../autodiscovery/zone.ts'
import { HandoffError } from '../errors.ts'
import type { ApiClient } from './client.ts'
import { defaultServerPorts } from '../admin/schemas.ts'
import type { ClusterStatus } from '../admin/schemas.ts'
import { context, progressLine, waitFor } from './context.ts'
import { groupTable, move } from './group.ts'
import { show } from './output.ts'
import { list } from './storage-group.ts'

interface CreateOptions extends FailoverOptions {
  readonly nodes: string
  readonly address: string
  readonly database: string
  readonly port?: string[]
  readonly host?: string
  readonly timeout: string
}

const standardPorts = Object.entries(defaultServerPorts)
  .map(([protocol, port]) => `${protocol} ${port}`)
  .join(', ')

export function serverCommands(root: Command): void {
  const noun = root.command('server').description('clustered mailbox servers: a virtual address and the listeners behind it')
  withFailoverOptions(noun.command('create <name>'))
    .description('make a clustered mailbox server')
    .requiredOption('--nodes <nodes>', 'possible owners, comma separated, the preferred first')
    .requiredOption('--address <addresses>', 'virtual addresses, comma separated')
    .requiredOption('--database <databases>', 'mailbox databases that it serves, comma separated')
    .option('--host <name>', 'DNS name of the virtual address, which mail clients are told (default: the server in the domain of the mailbox)')
    .option('--port <protocol=port...>', `ports other than the standard ones (${standardPorts}), e.g. imap=1143`)
    .option('--timeout <seconds>', 'how long to wait until it is online', '60')
    .action(async (name: string, options: CreateOptions, command: Command) => {
      const { api, json } = context(command)
      const given = Object.fromEntries((options.port ?? []).map((entry) => [entry.split('=')[0], Number(entry.split('=')[1])]))
      await api.post('/servers', {
        name,
        nodes: list(options.nodes),
        addresses: list(options.address),
        databases: list(options.database),
        ports: { ...defaultServerPorts, ...given },
        ...(options.host === undefined ? {} : { hostName: options.host }),
        ...failoverPolicy(options),
      })
      const line = progressLine()
      const group = await waitFor(
        `"${name}" to be online`,
        async () => (await api.get<ClusterStatus>('/cluster')).groups.find((candidate) => candidate.group === name && candidate.state === 'online') ?? null,
        { timeoutMs: Number(options.timeout) * 1000, everyMs: 50, progress: line.update },
      ).finally(line.end)
      show(json, group, () => groupTable([group]))
    })
  noun
    .command('status [server]')
    .description('servers, their listeners, and where their databases are')
    .action(async (name: string | undefined, _options: unknown, command: Command) => {
      const { api, json } = context(command)
      const { groups } = await api.get<ClusterStatus>('/cluster')
      const servers = groups.filter((group) => group.kind === 'server' && (name === undefined || group.group === name))
      show(
        json,
        servers,
        () =>
          `${groupTable(servers)}\n${servers
            .map(
              (server) =>
                `${server.group}: ${Object.entries(server.ports)
                  .map(([protocol, port]) => `${protocol} ${server.addresses[0]}:${port}`)
                  .join(', ')}`,
            )
            .join('\n')}`,
      )
    })
  noun
    .command('dns <server>')
    .description('print what the DNS zones of its domains should have, from its listeners')
    .option('--domain <domains>', 'comma separated (default: those of the mailboxes in its databases; needs a data node)')
    .action(async (name: string, options: { domain?: string }, command: Command) => {
      const { api, mailApi, json } = context(command)
      const { groups, nodes } = await api.get<ClusterStatus>('/cluster')
      const server = groups.find((group) => group.kind === 'server' && group.group === name)
      if (server === undefined) throw new HandoffError('GROUP_UNKNOWN', `there is no server "${name}"`)
      const domains = options.domain === undefined ? await domainsIn(mailApi(), server.databases) : list(options.domain)
      const senderAddresses = nodes
        .filter(({ node }) => server.nodes.includes(node))
        .flatMap(({ addresses, clientNetworks }) => clientNetworks.flatMap((network) => addresses[network] ?? []))
      const reachable = { name, hostName: server.hostName, ports: server.ports }
      const zones = domains.map((domain) => ({ domain, zone: zoneOf({ domain, server: reachable, addresses: server.addresses, senderAddresses }) }))
      show(json, zones, () => zones.map(({ zone }) => zone).join('\n'))
    })
  noun
    .command('move <server>')
    .description('hand a server and the storage groups of its databases over to another node')
    .option('--to <node>', 'target node (default: the other ready one)')
    .option('--reason <text>', 'kept in the decision record')
    .option('--timeout <seconds>', 'how long to wait for each', '30')
    .action(async (name: string, options: { to?: string; reason?: string; timeout: string }, command: Command) => {
      const shell = context(command)
      const { groups } = await shell.api.get<ClusterStatus>('/cluster')
      const server = groups.find((group) => group.group === name)
      const to = options.to ?? server?.inSync.find((node) => node !== server.owner)
      const databases = await shell.api.get<{ name: string; storageGroup: string }[]>('/databases')
      const behind = new Set(databases.filter((database) => server?.databases.includes(database.name)).map((database) => database.storageGroup))
      const moves: Awaited<ReturnType<typeof move>>[] = []
      // Storage first: the listeners hold their clients' commands meanwhile. Then the address, where clients reconnect.
      for (const storage of groups.filter((group) => behind.has(group.group) && group.owner !== to))
        moves.push(await move(shell, storage.group, { ...options, ...(to === undefined ? {} : { to }) }))
      moves.push(await move(shell, name, { ...options, ...(to === undefined ? {} : { to }) }))
      show(shell.json, moves, () =>
        moves.map((done) => `${done.group} is on ${done.owner} (epoch ${done.epoch}), ${done.tookMs} ms after the request`).join('\n'),
      )
    })
}

/** Of the mailboxes in these databases, in order. */
async function domainsIn(mailApi: ApiClient, databases: readonly string[]): Promise<readonly string[]> {
  const mailboxes = await mailApi.get<{ readonly address: string; readonly database: string }[]>('/mailboxes')
  const domains = mailboxes.filter(({ database }) => databases.includes(database)).map(({ address }) => address.slice(address.lastIndexOf('@') + 1))
  if (domains.length > 0) return [...new Set(domains)].sort()
  throw new HandoffError('REQUEST_INVALID', 'there are no mailboxes yet whose domains could be taken', { remedy: 'Name the domains with --domain.' })
}
