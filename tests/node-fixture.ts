import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { vi } from 'vitest'
import { apiClient } from '../src/cli/client.ts'
import { handoffdSocket } from '../src/config/paths.ts'

const program = fileURLToPath(new URL('../bin/handoffd', import.meta.url))

interface Run {
  readonly child: ChildProcess
  readonly exited: Promise<number | null>
  stdout: string
  stderr: string
}

/** Single handoffds of the built program on loopback addresses, each with a configuration that a test spoils. */
export class NodeFixture {
  readonly root = mkdtempSync(join(tmpdir(), 'handoff-nodes-'))
  readonly heartbeatPort = 7970
  readonly storePort = 7971
  private readonly runs = new Map<string, Run>()
  private readonly addresses = ['a', 'b', 'c', 'twin']

  constructor() {
    chmodSync(this.root, 0o755)
    writeFileSync(join(this.root, 'secret'), 'x'.repeat(64), { mode: 0o600 })
  }

  address(name: string): string {
    return `127.0.72.${this.addresses.indexOf(name) + 1}`
  }

  directory(name: string): string {
    return join(this.root, name)
  }

  files(name: string): string[] {
    return readdirSync(this.directory(name))
  }

  ownStore(name: string): { readonly kind: string; readonly endpoint: string; readonly serve: boolean } {
    return { kind: 'embedded', endpoint: `${this.address(name)}:${this.storePort}`, serve: true }
  }

  /** JSON is YAML. */
  write(name: string, differences: Readonly<Record<string, unknown>> = {}): void {
    const config = {
      cluster: 'test',
      node: name,
      role: 'witness',
      dataDirectory: this.directory(name),
      secretFile: join(this.root, 'secret'),
      networks: [{ name: 'loopback', address: this.address(name) }],
      heartbeat: { port: this.heartbeatPort },
      store: { ...this.ownStore('a'), serve: false },
      ...differences,
    }
    writeFileSync(join(this.root, `${name}.yaml`), JSON.stringify(config, null, 2))
  }

  /** @param as the name of this run, where a node is started twice */
  start(name: string, as = name): void {
    const child = spawn(process.execPath, [program, '--config', join(this.root, `${name}.yaml`)], { stdio: ['ignore', 'pipe', 'pipe'] })
    const run: Run = { child, stdout: '', stderr: '', exited: new Promise((resolve) => child.once('close', (code) => resolve(code))) }
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (run.stdout += text))
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (run.stderr += text))
    this.runs.set(as, run)
  }

  async ended(run: string): Promise<{ readonly code: number | null; readonly stderr: string }> {
    const { exited } = this.run(run)
    return { code: await exited, stderr: this.run(run).stderr }
  }

  /** Waits for a line of the log. */
  async said(run: string, what: RegExp): Promise<void> {
    const matches = (): boolean =>
      this.run(run)
        .stdout.split('\n')
        .some((line) => what.test(line))
    await vi.waitFor(
      () => {
        if (!matches()) throw new Error(`"${run}" has not said ${what}:\n${this.run(run).stdout}\n${this.run(run).stderr}`)
      },
      { timeout: 20_000, interval: 20 },
    )
  }

  async stop(run: string): Promise<number | null> {
    this.run(run).child.kill('SIGTERM')
    return this.run(run).exited
  }

  async post(name: string, path: string, body: unknown): Promise<void> {
    const api = apiClient(handoffdSocket(this.directory(name)))
    await vi.waitFor(() => api.post(path, body), { timeout: 10_000, interval: 50 })
  }

  get(name: string, path: string): Promise<unknown> {
    return apiClient(handoffdSocket(this.directory(name))).get(path)
  }

  /** Every process that was started with one of these directories, or works in one. */
  processes(): string[] {
    return readdirSync('/proc').flatMap((pid) => {
      if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return []
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
        return command.includes(this.root) || readlinkSync(`/proc/${pid}/cwd`).startsWith(this.root) ? [`${pid} ${command}`] : []
      } catch {
        return [] // it has ended
      }
    })
  }

  async end(): Promise<void> {
    await Promise.all([...this.runs.keys()].map((run) => this.stop(run)))
    for (const left of this.processes()) process.kill(Number(left.split(' ')[0]), 'SIGKILL')
    await vi.waitFor(() => {
      if (this.processes().length > 0) throw new Error('processes are left')
    })
    if (existsSync(this.root)) rmSync(this.root, { recursive: true, force: true })
  }

  private run(name: string): Run {
    const run = this.runs.get(name)
    if (run === undefined) throw new Error(`"${name}" was not started`)
    return run
  }
}
