import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'

/** For tests only: the embedded store as a process that can be killed, compiled from the present source. */
export interface CompiledStore {
  start(options: { readonly data: string; readonly listen: string }): Promise<StoreProcess>
  /** Kills what still runs, and removes the compiled files. */
  remove(): void
}

export interface StoreProcess {
  readonly endpoint: string
  readonly child: ChildProcess
  /** SIGKILL; settles when the process is gone. */
  kill(): Promise<void>
}

export async function compileStore(): Promise<CompiledStore> {
  const root = join(import.meta.dirname, '../../..')
  const cache = join(root, 'node_modules/.cache')
  mkdirSync(cache, { recursive: true })
  // Inside the checkout, so that the packages are found.
  const directory = mkdtempSync(join(cache, 'embedded-store-'))
  writeFileSync(join(directory, 'package.json'), '{ "type": "module" }')
  writeFileSync(
    join(directory, 'tsconfig.json'),
    JSON.stringify({
      extends: join(root, 'tsconfig.build.json'),
      compilerOptions: { rootDir: join(root, 'src'), outDir: directory, typeRoots: [join(root, 'node_modules/@types')] },
      include: [],
      files: [join(root, 'src/store/embedded/main.ts')],
    }),
  )
  await promisify(execFile)(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', directory])
  const started: StoreProcess[] = []
  return {
    async start(options) {
      const process = await startProcess(join(directory, 'store/embedded/main.js'), options)
      started.push(process)
      return process
    },
    remove() {
      for (const { child } of started) child.kill('SIGKILL')
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

async function startProcess(program: string, options: { readonly data: string; readonly listen: string }): Promise<StoreProcess> {
  const child = spawn(process.execPath, [program, '--data', options.data, '--listen', options.listen], { stdio: ['ignore', 'pipe', 'inherit'] })
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const first = await Promise.race([new Promise<string>((resolve) => createInterface(child.stdout).once('line', resolve)), gone.then(() => null)])
  if (first === null) throw new Error(`the embedded store ended while starting, status ${child.exitCode}`)
  const { listening } = JSON.parse(first) as { readonly listening: string }
  return {
    endpoint: listening,
    child,
    async kill() {
      child.kill('SIGKILL')
      await gone
    },
  }
}
