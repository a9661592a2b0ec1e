import { attempt, run } from './command.ts'
import { addressOf, hardwareAddressOf, type HostName, type NetworkName, networkNames, networks, networksOf, portOf } from './layout.ts'

/** Which way of a cable is cut, seen from the host: `in`, what it would receive; `out`, what it sends. */
export type Direction = 'in' | 'out'

const quiet = 'net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1'.split(' ')

/** The switch: one namespace with a bridge for each network. */
export async function createSwitch(prefix: string): Promise<void> {
  const space = `${prefix}-switch`
  await run('ip', ['netns', 'add', space])
  await attempt('ip', ['netns', 'exec', space, 'sysctl', '-qw', ...quiet])
  const lines = networkNames.flatMap((name) => [
    `link add ${networks[name].bridge} type bridge stp_state 0 forward_delay 0`,
    `link set ${networks[name].bridge} up`,
  ])
  await run('ip', ['-n', space, '-batch', '-'], { input: `link set lo up\n${lines.join('\n')}\n` })
}

/** A fresh network stack for a host, with its cables: nothing of a former life of it (sockets, neighbours, filters) is left. */
export async function plugIn(prefix: string, host: HostName): Promise<void> {
  const space = `${prefix}-${host}`
  await unplug(prefix, host)
  await run('ip', ['netns', 'add', space])
  await attempt('ip', ['netns', 'exec', space, 'sysctl', '-qw', ...quiet])
  const cables = networksOf(host)
  const switchSide = cables.flatMap((name) => [
    `link add ${portOf(host, name)} type veth peer name ${networks[name].device} netns ${space}`,
    `link set ${portOf(host, name)} master ${networks[name].bridge} up`,
  ])
  await run('ip', ['-n', `${prefix}-switch`, '-batch', '-'], { input: `${switchSide.join('\n')}\n` })
  const hostSide = cables.flatMap((name) => [
    `link set ${networks[name].device} address ${hardwareAddressOf(host, name)}`,
    `addr add ${addressOf(host, name)}/24 dev ${networks[name].device}`,
    `link set ${networks[name].device} up`,
  ])
  await run('ip', ['-n', space, '-batch', '-'], { input: `link set lo up\n${hostSide.join('\n')}\n` })
}

export async function unplug(prefix: string, host: HostName): Promise<void> {
  for (const name of networksOf(host)) await attempt('ip', ['-n', `${prefix}-switch`, 'link', 'del', portOf(host, name)])
  await attempt('ip', ['netns', 'del', `${prefix}-${host}`])
}

/** Takes cables out at the switch: the host sees no carrier. */
export async function setCables(prefix: string, host: HostName, names: readonly NetworkName[], state: 'up' | 'down'): Promise<void> {
  const lines = names.filter((name) => networksOf(host).includes(name)).map((name) => `link set ${portOf(host, name)} ${state}`)
  await run('ip', ['-n', `${prefix}-switch`, '-batch', '-'], { input: `${lines.join('\n')}\n` })
}

/**
 * Drops one direction of a cable without a trace for the sender: in the hook where frames enter the receiving side, because a
 * filter on the host's own output would make its system calls fail.
 */
export async function cutOneWay(prefix: string, host: HostName, name: NetworkName, direction: Direction): Promise<void> {
  const at = filterPlace(prefix, host, name, direction)
  const table = `table netdev ${at.table} { chain drops { type filter hook ingress device "${at.device}" priority 0; policy drop; }; }`
  await run('ip', ['netns', 'exec', at.space, 'nft', '-f', '-'], { input: `${table}\n` })
}

export async function mendOneWay(prefix: string, host: HostName, name: NetworkName): Promise<void> {
  for (const direction of ['in', 'out'] as const) {
    const at = filterPlace(prefix, host, name, direction)
    await attempt('ip', ['netns', 'exec', at.space, 'nft', 'delete', 'table', 'netdev', at.table])
  }
}

function filterPlace(
  prefix: string,
  host: HostName,
  name: NetworkName,
  direction: Direction,
): { readonly space: string; readonly device: string; readonly table: string } {
  const table = `cut_${host}_${networks[name].suffix}_${direction}`
  if (direction === 'in') return { space: `${prefix}-${host}`, device: networks[name].device, table }
  return { space: `${prefix}-switch`, device: portOf(host, name), table }
}
