import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Logger } from 'pino'
import { copyLog, etcdLog, guardianLog, mailboxLog } from '../../config/paths.ts'
import { boundLog } from '../../host/bounded-log.ts'

const lookEveryMs = 10_000

/** Keeps every log in this node's data directory within its bounds. handoffd's own goes to standard output: whoever starts it keeps that. */
export function startBoundingLogs(dataDirectory: string, log: Logger): NodeJS.Timeout {
  const bound = (file: string): void => {
    boundLog(file).catch((failure: Error) => log.warn({ file, failure: failure.message }, 'a log could not be cut'))
  }
  return setInterval(() => {
    for (const file of [guardianLog(dataDirectory), mailboxLog(dataDirectory), etcdLog(dataDirectory)]) bound(file)
    for (const group of copies(dataDirectory)) bound(copyLog(dataDirectory, group))
  }, lookEveryMs)
}

function copies(dataDirectory: string): string[] {
  try {
    return readdirSync(join(dataDirectory, 'copies'))
  } catch {
    return []
  }
}
