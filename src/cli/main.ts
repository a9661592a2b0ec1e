import { Command, CommanderError } from 'commander'
import { clusterCommands } from './cluster.ts'
import { copyCommands } from './copy.ts'
import { databaseCommands } from './database.ts'
import { demoCommand } from './demo.ts'
import { eventCommands } from './events.ts'
import { groupCommands } from './group.ts'
import { mailboxCommands } from './mailbox.ts'
import { queueCommands } from './queue.ts'
import { signingKeyCommands } from './signing-key.ts'
import { nodeCommands } from './node.ts'
import { describeFailure, failureAsJson } from './output.ts'
import { serverCommands } from './server.ts'
import { sieveCommands } from './sieve.ts'
import { storageGroupCommands } from './storage-group.ts'

/** The `handoff` command: `handoff NOUN VERB`. Exit status 0 done, 1 failed, 2 usage. */
export function program(): Command {
  const root = new Command('handoff')
  root
    .description('Keeps mail and SQL up when the machine under them dies.')
    .option('-c, --config <file>', 'configuration file of this node (for its socket)', process.env.HANDOFF_CONFIG ?? '/etc/handoff/handoff.yaml')
    .option('--socket <path>', 'Unix socket of handoffd, instead of the one of --config', process.env.HANDOFF_SOCKET)
    .option('--json', 'print one JSON value instead of text')
    .showHelpAfterError()
    .exitOverride()
  for (const add of [
    clusterCommands,
    nodeCommands,
    serverCommands,
    storageGroupCommands,
    copyCommands,
    groupCommands,
    databaseCommands,
    mailboxCommands,
    queueCommands,
    sieveCommands,
    signingKeyCommands,
    eventCommands,
    demoCommand,
  ])
    add(root)
  for (const command of allCommands(root)) {
    command.exitOverride()
    if (command !== root && command.commands.length === 0) command.option('--json', 'print one JSON value instead of text')
  }
  return root
}

function allCommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap(allCommands)]
}

export async function main(argv: readonly string[]): Promise<number> {
  try {
    await program().parseAsync([...argv], { from: 'user' })
    return process.exitCode === undefined ? 0 : Number(process.exitCode)
  } catch (failure) {
    if (failure instanceof CommanderError) return failure.exitCode === 0 ? 0 : 2
    process.stderr.write(`${argv.includes('--json') ? failureAsJson(failure) : describeFailure(failure)}\n`)
    return 1
  }
}
