import { stringify } from 'yaml'
import { addressOf, type MemberName, memberNames } from './layout.ts'

/** Where things are on every host that runs handoffd. */
export const configFile = '/mnt/handoff.yaml'
export const secretFile = '/mnt/secret'
export const dataDirectory = '/mnt/handoff'
export const storageGroup = 'sg1'
export const mailServer = 'mail'
export const mailDatabase = 'db1'

/** Address of the storage group for plain SQL clients, and of the clustered mailbox server. */
export const sqlAddress = '10.77.0.100'
export const mailAddress = '10.77.0.101'

export type NodeOptions = {
  /** Run the mailbox service too. */
  readonly mail: boolean
  readonly logLevel?: 'debug' | 'info'
  /** Further settings of PostgreSQL. */
  readonly settings?: Readonly<Record<string, string>>
}

/** The configuration file of one host. */
export function nodeYaml(host: MemberName, options: NodeOptions): string {
  const members = [host, ...memberNames.filter((name) => name !== host)] // the nearest endpoint first
  return stringify({
    cluster: 'rig',
    node: host,
    role: host === 'witness' ? 'witness' : 'data',
    dataDirectory,
    secretFile,
    networks: [
      { name: 'private', role: 'private', address: addressOf(host, 'private'), interface: 'eth1' },
      { name: 'public', role: 'public', address: addressOf(host, 'public'), interface: 'eth0' },
    ],
    store: {
      kind: 'etcd',
      managed: true,
      endpoints: members.map((name) => `http://${addressOf(name, 'private')}:2379`),
      members: memberNames.map((name) => ({
        name,
        peerUrl: `http://${addressOf(name, 'private')}:2380`,
        clientUrl: `http://${addressOf(name, 'private')}:2379`,
      })),
    },
    postgres: {
      clientNetworks: ['10.77.0.0/24'],
      clientMethod: 'trust',
      // tells clients which host answered behind the virtual address
      settings: { 'rig.host': host, ...options.settings },
    },
    mailbox: { enabled: options.mail },
    logLevel: options.logLevel ?? 'info',
  })
}
