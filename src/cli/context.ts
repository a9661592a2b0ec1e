import type { Command } from 'commander'
import { readConfig } from '../config/config.ts'
import { handoffdSocket, mailboxSocket } from '../config/paths.ts'
import { HandoffError } from '../errors.ts'
import { type ApiClient, apiClient } from './client.ts'

interface GlobalOptions {
  readonly config: string
  readonly socket?: string
  readonly json?: boolean
}

export interface Context {
  readonly json: boolean
  readonly api: ApiClient
  readonly mailApi: () => ApiClient
}

/** The daemon of this node, found through --socket or the node's configuration. */
export function context(command: Command): Context {
  const options = command.optsWithGlobals<GlobalOptions>()
  const socket = options.socket ?? handoffdSocket(readConfig(options.config).dataDirectory)
  return {
    json: options.json === true,
    api: apiClient(socket),
    mailApi: () =>
      apiClient(
        options.socket === undefined ? mailboxSocket(readConfig(options.config).dataDirectory) : options.socket.replace(/handoffd\.sock$/, 'mailbox.sock'),
        'MAILBOX_SERVICE_UNREACHABLE',
      ),
  }
}

/**
 * Waits until `probe` answers with something, telling what it waits for on stderr.
 * @throws HandoffError WAIT_TIMED_OUT
 */
export async function waitFor<T>(
  what: string,
  probe: () => Promise<T | null>,
  options: { readonly timeoutMs: number; readonly everyMs?: number; readonly progress?: (text: string) => void },
): Promise<T> {
  const started = Date.now()
  for (;;) {
    const answer = await probe()
    if (answer !== null) return answer
    const waited = Date.now() - started
    if (waited > options.timeoutMs) throw new HandoffError('WAIT_TIMED_OUT', `waited ${Math.round(waited / 1000)} s for: ${what}`)
    options.progress?.(`waiting for ${what} (${Math.round(waited / 1000)} s)`)
    await new Promise((resolve) => setTimeout(resolve, options.everyMs ?? 20))
  }
}

/** A line on a terminal's stderr that is overwritten by the next; nothing elsewhere. */
export function progressLine(): { update: (text: string) => void; end: () => void } {
  if (!process.stderr.isTTY) return { update: () => undefined, end: () => undefined }
  return { update: (text) => process.stderr.write(`\r\x1b[K${text}`), end: () => process.stderr.write('\r\x1b[K') }
}
