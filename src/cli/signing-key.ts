import type { Command } from 'commander'
import type { SigningKeyEntry } from '../authenticity/signing-keys.ts'
import { context } from './context.ts'
import { show } from './output.ts'

export function signingKeyCommands(root: Command): void {
  const noun = root.command('signing-key').description('DKIM keys that sign the mail of a domain')
  noun
    .command('create <domain>')
    .description('make a key; mail is signed with it at once, so publish its record first or within the hour')
    .option('--selector <selector>', 'its name in the DNS', 'handoff')
    .option('--algorithm <algorithm>', 'rsa-sha256 or ed25519-sha256', 'rsa-sha256')
    .action(async (domain: string, options: { selector: string; algorithm: string }, command: Command) => {
      const { mailApi, json } = context(command)
      const made = await mailApi().post<SigningKeyEntry>('/signing-keys', { domain, ...options })
      show(json, made, () => `publish:\n${record(made)}`)
    })
  noun
    .command('list')
    .description('every key, as the TXT record that has to be in the DNS')
    .action(async (_options: unknown, command: Command) => {
      const { mailApi, json } = context(command)
      const keys = await mailApi().get<SigningKeyEntry[]>('/signing-keys')
      show(json, keys, () => (keys.length === 0 ? 'no keys: mail goes out unsigned' : keys.map(record).join('\n')))
    })
  noun
    .command('remove <domain> <selector>')
    .description('sign with it no more; leave its record in the DNS for some days')
    .action(async (domain: string, selector: string, _options: unknown, command: Command) => {
      const { mailApi, json } = context(command)
      const done = await mailApi().delete<{ removed: boolean }>(`/signing-keys/${encodeURIComponent(domain)}/${encodeURIComponent(selector)}`)
      show(json, done, () => `key ${selector} of ${domain} removed`)
    })
}

/** As a line of a zone file: strings of at most 255 octets (RFC 1035 §3.3). */
function record({ record: { name, text } }: SigningKeyEntry): string {
  return `${name}. IN TXT ( ${(text.match(/.{1,250}/g) ?? []).map((part) => `"${part}"`).join(' ')} )`
}
