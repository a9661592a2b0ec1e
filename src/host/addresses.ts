import { execFile } from 'node:child_process'
import { BlockList, isIPv6 } from 'node:net'

/** An address on an interface of this machine. */
export interface AssignedAddress {
  readonly address: string
  readonly prefix: number
  readonly interface: string
}

export interface CommandResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program of the system to its end. Code 127: it is not there. */
export function runCommand(program: string, args: readonly string[], timeoutMs = 5000): Promise<CommandResult> {
  const path = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin:/usr/bin:/bin`
  return new Promise((resolve) => {
    execFile(program, [...args], { timeout: timeoutMs, killSignal: 'SIGKILL', env: { PATH: path, LC_ALL: 'C' } }, (failure, stdout, stderr) => {
      const code = failure === null ? 0 : failure.code === 'ENOENT' ? 127 : typeof failure.code === 'number' ? failure.code : 128
      resolve({ code, stdout, stderr: stderr.trim() })
    })
  })
}

/**
 * The addresses of this machine's interfaces, also of those without a carrier (`os.networkInterfaces()` leaves them out, and an
 * address that stays on an unplugged interface is there again when the cable is).
 * @param only this address
 */
export async function assignedAddresses(only?: string): Promise<AssignedAddress[]> {
  const { code, stdout } = await runCommand('ip', ['-j', 'addr', 'show', ...(only === undefined ? [] : ['to', only])])
  if (code !== 0 || stdout.trim() === '') return []
  const interfaces = JSON.parse(stdout) as {
    readonly ifname?: string
    readonly addr_info?: readonly { readonly local?: string; readonly prefixlen?: number }[]
  }[]
  return interfaces.flatMap((one) =>
    (one.addr_info ?? []).flatMap((info) =>
      one.ifname === undefined || info.local === undefined || info.prefixlen === undefined
        ? []
        : [{ address: info.local, prefix: info.prefixlen, interface: one.ifname }],
    ),
  )
}

/** Takes an address off every interface that has it. Returns what was removed and what could not be. */
export async function removeAddress(address: string): Promise<{ readonly removed: AssignedAddress[]; readonly failed: string[] }> {
  const assigned = await assignedAddresses(address)
  // What is connected to it is told now: afterwards no reset could leave with this source, and a client would wait for its own time limit.
  if (assigned.length > 0) await runCommand('ss', ['--no-header', '-K', 'src', address])
  const results = await Promise.all(
    assigned.map(async (one) => ({ one, result: await runCommand('ip', ['addr', 'del', `${one.address}/${one.prefix}`, 'dev', one.interface]) })),
  )
  const gone = /Cannot assign requested address/ // somebody else was first
  return {
    removed: results.filter(({ result }) => result.code === 0).map(({ one }) => one),
    failed: results
      .filter(({ result }) => result.code !== 0 && !gone.test(result.stderr))
      .map(({ one, result }) => `${one.address} on ${one.interface}: ${result.stderr}`),
  }
}

/** Is `address` in the subnet of an assigned address? */
export function inSubnet(address: string, subnet: AssignedAddress): boolean {
  const family = isIPv6(address) ? 'ipv6' : 'ipv4'
  if (isIPv6(subnet.address) !== isIPv6(address)) return false
  const list = new BlockList()
  list.addSubnet(subnet.address, subnet.prefix, family)
  return list.check(address, family)
}

/** Linux answers for the whole of 127.0.0.0/8 without any assignment. */
export const isLoopback = (address: string): boolean => /^127\./.test(address) || address === '::1'
