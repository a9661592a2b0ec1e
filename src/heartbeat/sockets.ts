import { createSocket, type Socket } from 'node:dgram'
import { isIPv6 } from 'node:net'

/** One of this node's own addresses, by the network that it is on. */
export interface OwnAddress {
  readonly network: string
  readonly address: string
}

export interface NetworkCounters {
  sent: number
  received: number
  /** Datagrams that could not be sent and sockets that could not be bound, by the system's code. */
  errors: Record<string, number>
}

interface Binding {
  readonly own: OwnAddress
  readonly counters: NetworkCounters
  socket: Socket | null
  bound: boolean
  retry: NodeJS.Timeout | null
}

const retryMs = 250

/**
 * One UDP socket for each own address, so that it is known on which network a datagram came, and each leaves from the address
 * that the peer expects. No error ends anything: an address that is not there yet is tried again, a network without a route is counted.
 */
export class HeartbeatSockets {
  private readonly bindings: readonly Binding[]
  private readonly port: number
  private readonly onMessage: (network: string, message: Buffer) => void
  private open = true

  constructor(options: { readonly own: readonly OwnAddress[]; readonly port: number; readonly onMessage: (network: string, message: Buffer) => void }) {
    this.port = options.port
    this.onMessage = options.onMessage
    this.bindings = options.own.map((own) => ({ own, counters: { sent: 0, received: 0, errors: {} }, socket: null, bound: false, retry: null }))
    for (const binding of this.bindings) this.bind(binding)
  }

  /** Sends on every network that both have; sockets that are not bound are left out, because they would send from a wrong address. */
  send(addresses: Readonly<Record<string, string>>, port: number, message: Buffer): void {
    for (const binding of this.bindings) {
      const to = addresses[binding.own.network]
      if (to === undefined || binding.socket === null || !binding.bound) continue
      try {
        binding.socket.send(message, port, to, (failure) => {
          if (failure === null) binding.counters.sent += 1
          else this.failed(binding, failure)
        })
      } catch (failure) {
        this.failed(binding, failure as NodeJS.ErrnoException)
      }
    }
  }

  counters(): Readonly<Record<string, NetworkCounters & { readonly bound: boolean }>> {
    return Object.fromEntries(this.bindings.map((binding) => [binding.own.network, { ...binding.counters, bound: binding.bound }]))
  }

  close(): void {
    this.open = false
    for (const binding of this.bindings) {
      if (binding.retry !== null) clearTimeout(binding.retry)
      binding.socket?.close()
      binding.socket = null
    }
  }

  private bind(binding: Binding): void {
    binding.retry = null
    if (!this.open) return
    const { address } = binding.own
    const family = isIPv6(address) ? 6 : 4
    const socket = createSocket({
      type: family === 6 ? 'udp6' : 'udp4',
      // Only addresses are ever sent to: no name service on the way of a heartbeat.
      lookup: (host, _options, callback) => callback(null, host, family),
    })
    binding.socket = socket
    socket.on('error', (failure) => {
      this.failed(binding, failure)
      if (binding.socket !== socket) return
      binding.socket = null
      binding.bound = false
      socket.close()
      if (this.open) binding.retry = setTimeout(() => this.bind(binding), retryMs)
    })
    socket.on('message', (message) => {
      binding.counters.received += 1
      this.onMessage(binding.own.network, message)
    })
    socket.bind({ address, port: this.port, exclusive: true }, () => {
      binding.bound = true
    })
  }

  private failed(binding: Binding, failure: NodeJS.ErrnoException): void {
    const code = failure.code ?? 'unknown'
    binding.counters.errors[code] = (binding.counters.errors[code] ?? 0) + 1
  }
}
