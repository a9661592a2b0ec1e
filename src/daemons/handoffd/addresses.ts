import type { Logger } from 'pino'
import type { Config } from '../../config/config.ts'
import type { AddressAction } from '../../groups/action.ts'
import type { GroupConfig, GroupId } from '../../groups/group.ts'
import { type VirtualAddress, virtualAddress } from '../../resources/virtual-address.ts'
import type { Input, Outcome } from '../../supervisor/ports.ts'

/** The virtual addresses of this node's groups. */
export class Addresses {
  private readonly config: Config
  private readonly log: Logger
  private readonly byGroup = new Map<GroupId, readonly VirtualAddress[]>()

  constructor(config: Config, log: Logger) {
    this.config = config
    this.log = log
  }

  /** Begins to look after a group's addresses, and reports whether a former run left them claimed. */
  async add(group: GroupConfig, input: (input: Input) => void): Promise<void> {
    if (this.byGroup.has(group.name)) return
    const preferred = this.config.networks.find((network) => network.role !== 'private' && network.interface !== undefined)?.interface
    const addresses = group.addresses.map((address) => virtualAddress({ address, log: this.log, ...(preferred === undefined ? {} : { interface: preferred }) }))
    this.byGroup.set(group.name, addresses)
    const held = await Promise.all(addresses.map((address) => address.held()))
    input({ kind: 'addresses', group: group.name, held: held.length > 0 && held.every((one) => one) })
  }

  of(group: GroupId): readonly VirtualAddress[] {
    return this.byGroup.get(group) ?? []
  }

  /** A node that is back may have told the network that it has them, or have answered for them. */
  announceAll(): void {
    for (const addresses of this.byGroup.values()) for (const address of addresses) address.announce()
  }

  async perform(action: AddressAction): Promise<Outcome> {
    const addresses = this.of(action.group)
    await Promise.all(addresses.map((address) => (action.kind === 'claim' ? address.claim() : address.release())))
    return { ok: true, addressesHeld: action.kind === 'claim' }
  }
}
