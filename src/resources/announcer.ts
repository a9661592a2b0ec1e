import { spawn } from 'node:child_process'
import { monotonicMs } from '../host/clock.ts'

/** How long after an announcement the next one follows, in ms: the first may be lost on a network that is only just back. Then the last, for ever. */
const pausesMs = [50, 150, 800, 5000]
/** A timer that is so late means that this process did not run: meanwhile the address may have been given to another node. */
const lateMs = 300
/** Long enough for whoever must take the address down after such a pause to have done so. */
const afterPauseMs = 1000

/**
 * Gratuitous ARP (RFC 5227 §2.3) until `stop`: switches learn the port, neighbours the hardware address. Both forms, because some
 * hosts heed only requests (`arping -U`) and some only replies (`arping -A`). Never waited for. IPv4 only: for IPv6 nothing here
 * sends unsolicited neighbour advertisements (RFC 4861 §7.2.6), so neighbours find a moved address only when they check it (§7.3).
 */
export class Announcer {
  private readonly address: string
  private readonly onFailure: (why: string) => void
  private timer: NodeJS.Timeout | null = null
  private interfaceName: string | null = null
  private failureSaid = false

  constructor(address: string, onFailure: (why: string) => void) {
    this.address = address
    this.onFailure = onFailure
  }

  start(interfaceName: string): void {
    this.stop()
    this.interfaceName = interfaceName
    this.failureSaid = false
    this.again()
  }

  /** Announces at once, and a few times more, when that has been begun. */
  again(): void {
    if (this.interfaceName === null) return
    this.announce(this.interfaceName)
    this.plan(0)
  }

  stop(): void {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
    this.interfaceName = null
  }

  private plan(round: number): void {
    this.wait(pausesMs[Math.min(round, pausesMs.length - 1)] ?? 0, () => {
      if (this.interfaceName !== null) this.announce(this.interfaceName)
      this.plan(round + 1)
    })
  }

  private wait(ms: number, task: () => void): void {
    if (this.timer !== null) clearTimeout(this.timer)
    const due = monotonicMs() + ms
    this.timer = setTimeout(() => (monotonicMs() - due > lateMs ? this.wait(afterPauseMs, task) : task()), ms).unref()
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
