import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import type { Command } from 'commander'
import { attended } from './demo/attended.ts'
import { unattended } from './demo/unattended.ts'

export function demoCommand(root: Command): void {
  root
    .command('demo')
    .description('two data nodes and a witness on this machine, with mail flowing; kill one and look')
    .option('--auto', 'run by itself: crash, check, hand back, check; the last line is one JSON object')
    .option('--directory <directory>', 'where the demo keeps its data; emptied at the start', join(tmpdir(), `handoff-demo-${userInfo().username}`))
    .action(async (options: { auto?: boolean; directory: string }) => {
      process.exitCode = options.auto === true ? await unattended(options.directory) : await attended(options.directory)
    })
}
