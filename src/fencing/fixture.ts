import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nodeId } from '../cluster/node.ts'
import { readJsonLines, writeJsonLine } from '../host/json-lines.ts'
import { identify, type ProcessId } from '../host/processes.ts'
import type { FromGuardian, GuardianConfig, ToGuardian } from './protocol.ts'

/** A temporary directory, and everything that a test started, gone at its end. */
export class Workshop {
  readonly directory = mkdtempSync(join(tmpdir(), 'handoff-guardian-'))
  private readonly children: ChildProcess[] = []
  private readonly leftovers: ProcessId[] = []

  /** @param at number of the node: its address is 127.0.73.N */
  config(at: number, port: number): GuardianConfig {
    return {
      cluster: 'test',
      self: nodeId(`n${at}`),
      own: [{ network: 'private', address: `127.0.73.${at}` }],
      port,
      heartbeatKey: '42'.repeat(32),
      intervalMs: 100,
      threshold: 5,
    }
  }

  /** @param space network namespace to run in */
  guardian(program: string, config: GuardianConfig, socketPath: string, space?: string): ChildProcess {
    const [command = '', ...args] = [
      ...(space === undefined ? [] : ['ip', 'netns', 'exec', space]),
      process.execPath,
      program,
      '--socket',
      socketPath,
      '--stdin',
    ]
    const child = spawn(command, args, { stdio: ['pipe', 'ignore', 'inherit'], detached: true })
    child.stdin?.end(JSON.stringify(config))
    this.children.push(child)
    return child
  }

  /** Stands for a postmaster: a session of its own, with a child in it that would go on alone. */
  victim(): ProcessId {
    return this.run('/bin/sh', ['-c', 'sleep 300 & wait'], '/')
  }

  run(program: string, args: readonly string[], cwd: string): ProcessId {
    const child = spawn(program, [...args], { detached: true, stdio: ['pipe', 'ignore', 'ignore'], cwd })
    this.children.push(child)
    const id = identify(child.pid ?? -1)
    if (id === null) throw new Error(`"${program}" did not start`)
    return id
  }

  /** Processes that others started on a test's behalf. */
  alsoEnd(id: ProcessId | null): void {
    if (id !== null) this.leftovers.push(id)
  }

  end(): void {
    for (const child of this.children) {
      if (child.pid === undefined) continue
      for (const target of [-child.pid, child.pid]) {
        try {
          process.kill(target, 'SIGKILL')
        } catch {
          // ended
        }
      }
    }
    for (const id of this.leftovers) {
      if (identify(id.pid)?.startTicks === id.startTicks) process.kill(id.pid, 'SIGKILL')
    }
    rmSync(this.directory, { recursive: true, force: true })
  }
}

/** A handoffd that says what the test wants said. */
export class Agent {
  readonly heard: FromGuardian[] = []
  private readonly socket: Socket

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('error', () => {})
    readJsonLines(socket, (value) => this.heard.push(value as FromGuardian))
  }

  /** Says hello as soon as the guardian listens. */
  static async hello(path: string, pid = process.pid): Promise<Agent> {
    for (;;) {
      const socket = await new Promise<Socket | null>((resolve) => {
        const attempt = connect(path)
        attempt.once('connect', () => resolve(attempt))
        attempt.once('error', () => resolve(null))
      })
      if (socket !== null) {
        const agent = new Agent(socket)
        agent.say({ type: 'hello', pid })
        return agent
      }
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }

  say(message: ToGuardian): void {
    writeJsonLine(this.socket, message)
  }

  get closed(): boolean {
    return this.socket.closed
  }

  last<T extends FromGuardian['type']>(type: T): Extract<FromGuardian, { type: T }> | undefined {
    return this.heard.findLast((message): message is Extract<FromGuardian, { type: T }> => message.type === type)
  }

  hangUp(): void {
    this.socket.destroy()
  }
}
