import { execFile, execFileSync } from 'node:child_process'

export type CommandResult = { readonly status: number; readonly stdout: string; readonly stderr: string }

export type CommandOptions = { readonly input?: string; readonly timeoutMs?: number; readonly environment?: NodeJS.ProcessEnv }

const path = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin:/usr/bin:/bin`

/** Runs a program to its end; any exit status is a result. */
export function attempt(program: string, args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  return new Promise((resolve) => {
    const child = execFile(
      program,
      [...args],
      {
        env: { ...process.env, PATH: path, ...options.environment },
        timeout: options.timeoutMs ?? 60_000,
        killSignal: 'SIGKILL',
        maxBuffer: 256 * 1024 * 1024,
      },
      (error, stdout, stderr) => {
        const status = error === null ? 0 : typeof error.code === 'number' ? error.code : 255
        resolve({ status, stdout, stderr: error !== null && stderr === '' ? error.message : stderr })
      },
    )
    child.stdin?.on('error', () => undefined) // a program that reads no input may have gone already
    child.stdin?.end(options.input ?? '')
  })
}

/** Runs a program that must succeed. @throws Error with its output */
export async function run(program: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  const result = await attempt(program, args, options)
  if (result.status !== 0) throw new Error(`${program} ${args.join(' ')}: exit ${result.status}\n${result.stdout}${result.stderr}`)
  return result.stdout
}

/** For handlers of signals and exits, where nothing can be awaited. */
export function attemptSync(program: string, args: readonly string[], input = ''): void {
  try {
    execFileSync(program, [...args], { input, env: { ...process.env, PATH: path }, stdio: ['pipe', 'ignore', 'ignore'], timeout: 20_000 })
  } catch {
    // what was to be removed is gone already
  }
}
