import { isIPv6 } from 'node:net'
import { HandoffError } from '../errors.ts'
import { assignedAddresses, inSubnet, isLoopback, removeAddress, runCommand } from '../host/addresses.ts'
import { Announcer } from './announcer.ts'

/** An address that moves with its group. */
export interface VirtualAddress {
  /** Is it on this machine now, whoever put it there? */
  held(): Promise<boolean>
  /** Puts it on the interface and begins to announce it. Harmless when it is held. @throws HandoffError ADDRESS_NO_INTERFACE, ADDRESS_NOT_CLAIMED */
  claim(): Promise<void>
  /** Tells the network once more that it is here, if it is. */
  announce(): void
  /** Stops announcing and takes it off. Harmless when it is not held. @throws HandoffError ADDRESS_NOT_RELEASED */
  release(): Promise<void>
}

export interface VirtualAddressOptions {
  readonly address: string
  /** Found by the subnet when left out. */
  readonly interface?: string
  /** Length of the prefix; the whole address when left out, because the interface's own address brings the route already. */
  readonly prefix?: number
  readonly log: { warn(fields: object, message: string): void }
}

/** On a loopback address nothing has to move: Linux answers for all of 127.0.0.0/8, so claiming and releasing are only remembered. */
export function virtualAddress(options: VirtualAddressOptions): VirtualAddress {
  return isLoopback(options.address) ? rememberedAddress() : new InterfaceAddress(options)
}

function rememberedAddress(): VirtualAddress {
  let held = false
  return {
    held: async () => held,
    claim: async () => {
      held = true
    },
    release: async () => {
      held = false
    },
    announce: () => {},
  }
}

class InterfaceAddress implements VirtualAddress {
  private readonly options: VirtualAddressOptions
  private readonly announcer: Announcer
  private interfaceName: string | null

  constructor(options: VirtualAddressOptions) {
    this.options = options
    this.interfaceName = options.interface ?? null
    this.announcer = new Announcer(options.address, (why) => options.log.warn({ address: options.address, why }, 'a virtual address could not be announced'))
  }

  async held(): Promise<boolean> {
    // Asked long before the first claim: what can be found out now need not be found out while clients wait.
    this.interfaceName ??= await interfaceFor(this.options.address).catch(() => null)
    return (await assignedAddresses(this.options.address)).length > 0
  }

  async claim(): Promise<void> {
    const remembered = this.interfaceName
    const interfaceName = remembered ?? (await interfaceFor(this.options.address))
    const failure = await this.assign(interfaceName)
    if (failure === null) {
      this.interfaceName = interfaceName
      return
    }
    // An interface that was made anew may have another name now.
    const present = remembered === null || this.options.interface !== undefined ? null : await interfaceFor(this.options.address).catch(() => null)
    const second = present === null || present === interfaceName ? failure : await this.assign(present)
    if (second !== null)
      throw new HandoffError('ADDRESS_NOT_CLAIMED', `the address ${this.options.address} could not be put on ${present ?? interfaceName}: ${second}`)
    this.interfaceName = present
  }

  /** Null when done, else why not. */
  private async assign(interfaceName: string): Promise<string | null> {
    const { address } = this.options
    const six = isIPv6(address)
    const prefix = this.options.prefix ?? (six ? 128 : 32)
    // `replace` adds, or leaves it as it is. Duplicate address detection would hold an IPv6 address back for a second (RFC 4862 §5.4).
    const { code, stderr } = await runCommand('ip', [
      ...(six ? ['-6'] : []),
      ...['addr', 'replace', `${address}/${prefix}`, 'dev', interfaceName],
      ...(six ? ['nodad'] : []),
    ])
    if (code !== 0) return stderr || `ip ended with ${code}`
    if (!six) this.announcer.start(interfaceName)
    return null
  }

  announce(): void {
    this.announcer.again()
  }

  async release(): Promise<void> {
    this.announcer.stop()
    const { failed } = await removeAddress(this.options.address)
    if (failed.length > 0) throw new HandoffError('ADDRESS_NOT_RELEASED', `the address could not be released: ${failed.join('; ')}`)
  }
}

/**
 * The interface whose subnet an address is in.
 * @throws HandoffError ADDRESS_NO_INTERFACE
 */
export async function interfaceFor(address: string): Promise<string> {
  const subnets = (await assignedAddresses()).filter((one) => one.address !== address && inSubnet(address, one))
  // The narrowest subnet is the one that the kernel would route by.
  const narrowest = subnets.sort((a, b) => b.prefix - a.prefix)[0]
  if (narrowest === undefined) throw new HandoffError('ADDRESS_NO_INTERFACE', `no interface of this node is in the subnet of the virtual address ${address}`)
  return narrowest.interface
}

/**
 * Before an address becomes virtual for the first time: does another host answer for it (RFC 5227 §2.1)? Takes up to two seconds, so it
 * is never asked on the way of a failover, where the former owner may well still answer.
 * @throws HandoffError ADDRESS_IN_USE, ADDRESS_NO_INTERFACE
 */
export async function assertAddressUnused(options: { readonly address: string; readonly interface?: string }): Promise<void> {
  const { address } = options
  if (isLoopback(address) || isIPv6(address) || (await assignedAddresses(address)).length > 0) return
  const interfaceName = options.interface ?? (await interfaceFor(address))
  const { code, stdout } = await runCommand('arping', ['-D', '-c', '2', '-w', '2', '-I', interfaceName, address])
  // arping(8): with -D, 0 means that nobody answered
  if (code === 1 && /reply/i.test(stdout)) {
    const hardware = /\[([0-9A-F:]+)\]/i.exec(stdout)?.[1] ?? 'unknown'
    throw new HandoffError(
      'ADDRESS_IN_USE',
      `the address ${address} cannot become a virtual address: the host with the hardware address ${hardware} on ${interfaceName} has it`,
    )
  }
}
