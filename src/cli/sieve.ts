import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import type { ScriptContent, StoredScript } from '../admin/sieve-api.ts'
import type { ScriptEntry } from '../filter/scripts.ts'
import { HandoffError } from '../errors.ts'
import { context } from './context.ts'
import { show, table } from './output.ts'

export function sieveCommands(root: Command): void {
  const noun = root.command('sieve').description("people's Sieve scripts; at most one of each is active and filters their mail")
  noun
    .command('list <address>')
    .description('the scripts of a mailbox')
    .action(async (address: string, _options: unknown, command: Command) => {
      const { mailApi, json } = context(command)
      const entries = await mailApi().get<ScriptEntry[]>(`/sieve?${new URLSearchParams({ address })}`)
      show(json, entries, () => overview(entries))
    })
  noun
    .command('show <address> [name]')
    .description('a script; the active one when no name is given')
    .action(async (address: string, name: string | undefined, _options: unknown, command: Command) => {
      const { mailApi, json } = context(command)
      const which = new URLSearchParams({ address, ...(name === undefined ? {} : { name }) })
      const script = await mailApi().get<ScriptContent>(`/sieve/script?${which}`)
      show(json, script, () => script.content.replace(/\r?\n$/, ''))
    })
  noun
    .command('put <address> <name> [file]')
    .description('store a script, read from standard input when no file is given; one of that name is replaced')
    .option('--activate', 'make it the active one, too')
    .action(async (address: string, name: string, file: string | undefined, options: { activate?: boolean }, command: Command) => {
      const { mailApi, json } = context(command)
      const stored = await mailApi().post<StoredScript>('/sieve/put', { address, name, content: readScript(file) })
      if (options.activate) await mailApi().post('/sieve/activate', { address, name })
      show(json, stored, () =>
        [`script "${name}" stored${options.activate ? ' and active' : ''}`, ...stored.warnings.map((each) => `warning: ${each}`)].join('\n'),
      )
    })
  noun
    .command('activate <address> [name]')
    .description('let a script filter the mail, or none with --none')
    .option('--none', 'no script is active any more')
    .action(async (address: string, name: string | undefined, options: { none?: boolean }, command: Command) => {
      const { mailApi, json } = context(command)
      if ((name === undefined) !== (options.none === true)) command.error('name a script, or give --none', { exitCode: 2 })
      const entries = await mailApi().post<ScriptEntry[]>('/sieve/activate', { address, name: name ?? null })
      show(json, entries, () => overview(entries))
    })
  noun
    .command('remove <address> <name>')
    .description('delete a script that is not active')
    .action(async (address: string, name: string, _options: unknown, command: Command) => {
      const { mailApi, json } = context(command)
      const entries = await mailApi().post<ScriptEntry[]>('/sieve/remove', { address, name })
      show(json, entries, () => overview(entries))
    })
}

function overview(entries: readonly ScriptEntry[]): string {
  if (entries.length === 0) return 'there are no scripts'
  return table(
    ['script', 'active'],
    entries.map(({ name, active }) => [name, active ? 'yes' : 'no']),
  )
}

function readScript(file: string | undefined): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file ?? 0))
  } catch (cause) {
    const what = file === undefined ? 'the script on standard input' : `the script "${file}"`
    throw new HandoffError('REQUEST_INVALID', `cannot read ${what}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
}
