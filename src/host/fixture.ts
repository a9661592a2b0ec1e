import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * Compiles one file of `src` and what it imports into a directory of its own, so that a test runs real processes of what is written
 * now, whatever state `dist` is in. For programs that need nothing but Node.
 * @param source path within `src`
 * @returns path of the compiled file
 */
export function compileProgram(directory: string, source: string): string {
  const root = fileURLToPath(new URL('../..', import.meta.url))
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, 'package.json'), '{"type":"module"}')
  const project = join(directory, 'tsconfig.json')
  writeFileSync(
    project,
    JSON.stringify({
      extends: join(root, 'tsconfig.json'),
      compilerOptions: {
        noEmit: false,
        noCheck: true,
        rootDir: join(root, 'src'),
        outDir: join(directory, 'dist'),
        typeRoots: [join(root, 'node_modules', '@types')],
      },
      include: [],
      files: [join(root, 'src', source)],
    }),
  )
  execFileSync(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', project], { stdio: ['ignore', 'pipe', 'pipe'] })
  const program = join(directory, 'dist', source.replace(/\.ts$/, '.js'))
  if (!existsSync(program)) throw new Error(`no "${program}" was compiled`)
  return program
}
