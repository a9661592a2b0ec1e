/** The hosts of a rig, their networks and their addresses; nothing here touches the machine. */

export const hostNames = ['node1', 'node2', 'witness', 'client'] as const
export type HostName = (typeof hostNames)[number]

/** Hosts that run handoffd. */
export const memberNames = ['node1', 'node2', 'witness'] as const
export type MemberName = (typeof memberNames)[number]

export const dataNames = ['node1', 'node2'] as const
export type DataName = (typeof dataNames)[number]

export const networkNames = ['public', 'private'] as const
export type NetworkName = (typeof networkNames)[number]

type Network = { readonly bridge: string; readonly prefix: string; readonly device: string; readonly suffix: string; readonly octet: string }

export const networks: Record<NetworkName, Network> = {
  public: { bridge: 'br-pub', prefix: '10.77.0', device: 'eth0', suffix: 'pub', octet: '77' },
  private: { bridge: 'br-priv', prefix: '10.78.0', device: 'eth1', suffix: 'priv', octet: '78' },
}

const lastOctet: Record<HostName, string> = { node1: '11', node2: '12', witness: '13', client: '20' }

/** Networks that a host has a cable to: clients see the public one only. */
export function networksOf(host: HostName): readonly NetworkName[] {
  return host === 'client' ? ['public'] : networkNames
}

export function addressOf(host: HostName, network: NetworkName): string {
  return `${networks[network].prefix}.${lastOctet[host]}`
}

/** Address that moves with the clustered mailbox server, and the one that moves with the first storage group's SQL clients. */
export const virtualAddress = '10.77.0.100'

/** Switch-side end of a host's cable. */
export function portOf(host: HostName, network: NetworkName): string {
  return `${host}-${networks[network].suffix}`
}

/** The same after every boot, as a network card's is: neighbours keep valid entries. */
export function hardwareAddressOf(host: HostName, network: NetworkName): string {
  return `02:48:4f:00:${networks[network].octet}:${lastOctet[host]}`
}

export function otherData(host: DataName): DataName {
  return host === 'node1' ? 'node2' : 'node1'
}

export function hostOfAddress(address: string): HostName | undefined {
  return hostNames.find((host) => networkNames.some((network) => addressOf(host, network) === address))
}
