import { Command } from 'commander'
import { HandoffError } from '../../errors.ts'
import { EmbeddedServer } from './server.ts'

/** The embedded store as a process of its own. Prints one JSON line when it answers. */
const command = new Command('embedded-store')
  .description('The cluster database of a cluster on one machine.')
  .requiredOption('--data <directory>', 'where it is kept')
  .requiredOption('--listen <address>', 'host:port, or the path of a Unix socket')
  .parse()

async function main(): Promise<void> {
  const flags = command.opts<{ data: string; listen: string }>()
  const server = await EmbeddedServer.open({ dataDirectory: flags.data, listen: flags.listen })
  process.stdout.write(`${JSON.stringify({ listening: server.endpoint, pid: process.pid })}\n`)
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void server.close().then(() => process.exit(0)))
  const failure = await server.failed
  process.stderr.write(`embedded store: stopped, because the disk failed: ${failure.message}\n`)
  process.exit(1)
}

main().catch((failure: unknown) => {
  if (failure instanceof HandoffError) process.stderr.write(`embedded store: ${failure.message}\n  ${failure.code}: ${failure.remedy}\n`)
  else process.stderr.write(`embedded store: ${failure instanceof Error ? failure.stack : String(failure)}\n`)
  process.exit(1)
})
