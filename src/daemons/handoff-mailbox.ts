import { Command } from 'commander'
import pino from 'pino'
import { HandoffError } from '../errors.ts'
import { readOptions } from './mailbox/options.ts'
import { startMailboxService } from './mailbox/primary.ts'

/** `handoff-mailbox --config FILE`: the mailbox service of one node, under handoffd or alone. */
const command = new Command('handoff-mailbox')
  .description('The mailbox service: SMTP, submission, LMTP, IMAP, ManageSieve and HTTP listeners in several worker processes.')
  .requiredOption('--config <file>', 'configuration of the service (YAML or JSON)')
  .option('--standalone', 'insist on a configuration with fixed databases, without handoffd')
  .parse()

async function main(): Promise<void> {
  const flags = command.opts<{ config: string; standalone?: boolean }>()
  const options = readOptions(flags.config)
  if (flags.standalone && !options.standalone)
    throw new HandoffError('CONFIG_INVALID', `configuration "${flags.config}" has no "standalone" section, which --standalone wants`)
  process.env.HANDOFF_LOG_LEVEL = options.logLevel
  const log = pino({ name: 'handoff-mailbox', level: options.logLevel })
  const service = await startMailboxService(options, log)
  let ending = false
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (ending) return
      ending = true
      log.info({ signal }, 'mailbox service ends')
      service.close().then(
        () => process.exit(0),
        (err: unknown) => {
          log.error({ err }, 'mailbox service did not end in order')
          process.exit(1)
        },
      )
    })
  }
}

main().catch((error: unknown) => {
  if (error instanceof HandoffError) process.stderr.write(`handoff-mailbox: ${error.message}\n  ${error.code}: ${error.remedy}\n`)
  else process.stderr.write(`handoff-mailbox: ${error instanceof Error ? error.stack : String(error)}\n`)
  process.exit(1)
})
