import { spawn } from 'node:child_process'

/** When the owner of an address is told anew, in ms after the claim: the first may be lost on a network that is only just back. */
const firstMs = [0, 50, 200, 1000]
const thenEveryMs = 5000

/**
 * Gratuitous ARP (RFC 5227 §2.3) until `stop`: switches learn the port, neighbours the hardware address. Both forms, because some
 * hosts heed only requests (`arping -U`) and some only replies (`arping -A`). Never waited for. IPv4 only: for IPv6 nothing here
 * sends unsolicited neighbour advertisements (RFC 4861 §7.2.6), so neighbours find a moved address only when they check it (§7.3).
 */
export class Announcer {
  private readonly address: string
  private readonly onFailure: (why: string) => void
  private timers: NodeJS.Timeout[] = []
  private failureSaid = false

  constructor(address: string, onFailure: (why: string) => void) {
    this.address = address
    this.onFailure = onFailure
  }

  start(interfaceName: string): void {
    this.stop()
    this.failureSaid = false
    this.announce(interfaceName)
    for (const ms of firstMs.slice(1)) this.timers.push(setTimeout(() => this.announce(interfaceName), ms).unref())
    this.timers.push(setInterval(() => this.announce(interfaceName), thenEveryMs).unref())
  }

  stop(): void {
    for (const timer of this.timers) clearTimeout(timer)
    this.timers = []
  }

  private announce(interfaceName: string): void {
    for (const form of ['-U', '-A']) {
      // arping binds to the address: where a guardian has taken it away, this fails and says nothing on the network.
      const child = spawn('arping', ['-q', '-c', '1', form, '-I', interfaceName, this.address], {
        stdio: ['ignore', 'ignore', 'pipe'],
        env: { PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin:/usr/bin:/bin`, LC_ALL: 'C' },
      })
      let said = ''
      child.stderr.on('data', (chunk: Buffer) => {
        said += chunk.toString().slice(0, 500)
      })
      child.once('error', (failure) => this.failed(failure.message))
      child.once('close', () => {
        if (said !== '') this.failed(said.trim())
      })
      child.unref()
    }
  }

  private failed(why: string): void {
    if (this.failureSaid) return
    this.failureSaid = true
    this.onFailure(why)
  }
}
