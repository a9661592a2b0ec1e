import { Command } from 'commander'
import pino from 'pino'
import { describeFailure } from '../cli/output.ts'
import { readConfig } from '../config/config.ts'
import { sampleConfig } from '../config/sample.ts'
import { Daemon } from './handoffd/daemon.ts'

/**
 * `handoffd --config FILE`: the cluster service of one node.
 * SIGTERM and SIGINT take this node's groups down in order and end everything; SIGUSR1 ends only this process and leaves everything
 * running for the next one to adopt (an upgrade).
 */
const command = new Command('handoffd')
  .description('The cluster service of one node.')
  .option('-c, --config <file>', 'configuration file of this node', '/etc/handoff/handoff.yaml')
  .option('--sample-config', 'print a commented configuration and end')
  .option('--check-config', 'read the configuration, tell every fault, and end')
  .parse()

const options = command.opts<{ config: string; sampleConfig?: boolean; checkConfig?: boolean }>()

if (options.sampleConfig === true) {
  process.stdout.write(sampleConfig)
} else {
  main().catch((failure: unknown) => {
    process.stderr.write(`handoffd: ${describeFailure(failure)}\n`)
    process.exit(1)
  })
}

async function main(): Promise<void> {
  const config = readConfig(options.config)
  if (options.checkConfig === true) {
    process.stdout.write(`${options.config} is valid\n`)
    return
  }
  const log = pino({ name: 'handoffd', level: config.logLevel, base: { node: config.node } })
  const daemon = new Daemon(config, log)
  let ending = false
  const end = (how: 'stop' | 'detach'): void => {
    if (ending) return
    ending = true
    daemon.end(how).then(
      () => process.exit(0),
      (failure: unknown) => {
        log.error({ failure }, 'did not end in order')
        process.exit(1)
      },
    )
  }
  process.on('SIGTERM', () => end('stop'))
  process.on('SIGINT', () => end('stop'))
  process.on('SIGUSR1', () => end('detach'))
  await daemon.start()
}
