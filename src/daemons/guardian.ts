import { readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { constants, setPriority } from 'node:os'
import { Guardian } from '../fencing/guardian.ts'
import { answers, GuardianSocket } from '../fencing/guardian-socket.ts'
import { type GuardianConfig, guardianLock } from '../fencing/protocol.ts'
import { Watchdog } from '../fencing/watchdog.ts'
import { takeLock } from '../host/lock-file.ts'

/**
 * `guardian --socket PATH --stdin`: heartbeats and deadlines of one node. handoffd starts it, with its configuration as one JSON
 * value on standard input, and it outlives handoffd. Exit status 3: this node has a guardian already.
 */
const log = (event: string, fields: Readonly<Record<string, unknown>> = {}): void => {
  process.stdout.write(`${JSON.stringify({ time: Date.now(), name: 'guardian', pid: process.pid, msg: event, ...fields })}\n`)
}

/** It must run when nothing else does: first in the queue for the processor, last in the queue for the out-of-memory killer. */
function becomeImportant(): void {
  const steps: Readonly<Record<string, () => void>> = {
    priority: () => setPriority(0, constants.priority.PRIORITY_HIGHEST),
    oomScore: () => writeFileSync('/proc/self/oom_score_adj', '-1000'),
  }
  for (const [step, take] of Object.entries(steps)) {
    try {
      take()
    } catch (failure) {
      log('runs less protected than it could: wants CAP_SYS_NICE and CAP_SYS_RESOURCE', { step, failure: (failure as Error).message })
    }
  }
}

async function main(socketPath: string, config: GuardianConfig): Promise<void> {
  process.umask(0o077)
  const lock = (await answers(socketPath)) ? null : takeLock(guardianLock(socketPath))
  if (lock === null || 'holder' in lock) {
    log('this node has a guardian already', lock === null ? {} : { holder: lock.holder.pid })
    process.exit(3)
  }
  becomeImportant()
  let watchdog: Watchdog | null = null
  const end = (): void => {
    watchdog?.disarm()
    socket.close()
    try {
      unlinkSync(socketPath)
    } catch {
      // gone already
    }
    lock.release()
    log('ended in order')
    // what was written last to handoffd goes out first
    setImmediate(() => process.exit(0))
  }
  const socket = new GuardianSocket(
    (message) => guardian.command(message),
    (pid) => {
      log('handoffd has said hello', { handoffd: pid })
      guardian.greet()
    },
  )
  const guardian = new Guardian(config, { tell: (message) => socket.tell(message), log, end })
  // A fault in one turn must not end the guarding. The next turn starts from what is known.
  process.on('uncaughtException', (failure) => {
    log('a turn failed', { failure: failure.stack })
    guardian.goOn()
  })
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const)
    process.on(signal, () => {
      if (!guardian.guards && signal !== 'SIGHUP') end()
      else log('does not end by a signal: it guards what serves', { signal })
    })
  await socket.listen(socketPath)
  if (config.watchdog !== undefined) watchdog = new Watchdog(config.watchdog, () => guardian.wellKept)
  log('runs', { node: config.self, networks: config.own })
}

const socketPath = process.argv[process.argv.indexOf('--socket') + 1]
if (!process.argv.includes('--socket') || socketPath === undefined || !process.argv.includes('--stdin')) {
  process.stderr.write('usage: guardian --socket PATH --stdin   (started by handoffd)\n')
  process.exit(2)
}
main(socketPath, JSON.parse(readFileSync(0, 'utf8')) as GuardianConfig).catch((failure: Error) => {
  log('cannot run', { failure: failure.stack })
  process.exit(1)
})
