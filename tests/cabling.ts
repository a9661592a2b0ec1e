import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

export interface Reply {
  readonly value?: unknown
  readonly code?: string
  readonly message?: string
  /** Monotonic ms at which the command began, and how long it took. */
  readonly began: number
  readonly ms: number
}

/** A process in a namespace that does what the test says, one command after the other. */
export interface Puppet {
  readonly process: ChildProcess
  do(command: string): Promise<Reply>
}

const ip = (...args: readonly string[]): void => void execFileSync('ip', [...args], { stdio: ['ignore', 'ignore', 'pipe'] })

/** A few hosts on one switch, in network namespaces of their own, and what runs in them; all gone at the end. */
export class Cabling {
  private readonly prefix: string
  private readonly spaces: string[] = []
  private readonly children: ChildProcess[] = []

  constructor(prefix: string) {
    this.prefix = prefix
  }

  space(host: string): string {
    return `${this.prefix}-${host}`
  }

  /** @param hosts address with prefix length, by host */
  lay(hosts: Readonly<Record<string, string>>): void {
    this.addSpace('switch')
    ip('-n', this.space('switch'), 'link', 'add', 'br0', 'type', 'bridge', 'stp_state', '0', 'forward_delay', '0')
    ip('-n', this.space('switch'), 'link', 'set', 'br0', 'up')
    for (const [host, address] of Object.entries(hosts)) {
      this.addSpace(host)
      ip('-n', this.space('switch'), 'link', 'add', `to-${host}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', this.space(host))
      ip('-n', this.space('switch'), 'link', 'set', `to-${host}`, 'master', 'br0', 'up')
      ip('-n', this.space(host), 'link', 'set', 'lo', 'up')
      ip('-n', this.space(host), 'addr', 'add', address, 'dev', 'eth0')
      ip('-n', this.space(host), 'link', 'set', 'eth0', 'up')
    }
  }

  /** Takes a host's cable out at the switch, or puts it in. */
  cable(host: string, state: 'up' | 'down'): void {
    ip('-n', this.space('switch'), 'link', 'set', `to-${host}`, state)
  }

  hardwareAddress(host: string): string {
    const shown = JSON.parse(execFileSync('ip', ['-n', this.space(host), '-j', 'link', 'show', 'eth0'], { encoding: 'utf8' })) as { readonly address: string }[]
    return shown[0]?.address ?? ''
  }

  /** @param script arguments for node; the script answers each line of its input with a line of JSON */
  puppet(host: string, script: readonly string[]): Puppet {
    const child = spawn('ip', ['netns', 'exec', this.space(host), process.execPath, ...script], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.children.push(child)
    const waiting: ((line: string) => void)[] = []
    createInterface({ input: child.stdout }).on('line', (line) => waiting.shift()?.(line))
    return {
      process: child,
      do: (command) =>
        new Promise((resolve) => {
          waiting.push((line) => resolve(JSON.parse(line) as Reply))
          child.stdin.write(`${command}\n`)
        }),
    }
  }

  async end(): Promise<void> {
    await Promise.all(
      this.children.map((child) => {
        if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
        const exited = new Promise((resolve) => child.once('exit', resolve))
        child.kill('SIGKILL') // `ip netns exec` has become the program
        return exited
      }),
    )
    for (const space of this.spaces) {
      try {
        ip('netns', 'del', space)
      } catch {
        // never made
      }
    }
  }

  private addSpace(host: string): void {
    ip('netns', 'add', this.space(host))
    this.spaces.push(this.space(host))
  }
}
