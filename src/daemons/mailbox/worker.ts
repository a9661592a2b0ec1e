import type { Socket } from 'node:net'
import pino from 'pino'
import { createMail, type Mail } from './mail.ts'
import { createServerListeners, type ServerListeners } from './server-listeners.ts'
import type { FromWorker, ToWorker } from './wire.ts'

/** A worker process: the sessions. It owns no listening socket and decides nothing; the primary tells it everything. */
const log = pino({ name: 'handoff-mailbox', level: process.env.HANDOFF_LOG_LEVEL ?? 'info' })
let mail: Mail | undefined
const listeners = new Map<string, ServerListeners>()
/** Those that drain; kept only to count their sessions. */
const leaving = new Set<ServerListeners>()

process.on('message', (message: ToWorker, socket: unknown) => {
  switch (message.type) {
    case 'start':
      mail = createMail({ ...message.start, log, publish: (change) => say({ type: 'changed', change }) })
      say({ type: 'ready' })
      return
    case 'mounts':
      mail?.setMounts(message.mounts)
      // Made ahead for every server, served here or not: when service starts there is nothing left to do.
      for (const server of message.mounts.servers) listenersOf(server.name)
      return
    case 'connection':
      if (socket) listenersOf(message.server)?.attach(message.protocol, socket as Socket)
      return
    case 'drain':
      void drain(message.server)
      return
    case 'send':
      mail?.send()
      return
    case 'changed':
      mail?.hear(message.change)
      return
    case 'ping':
      say({ type: 'pong', n: message.n, sessions: [...listeners.values(), ...leaving].reduce((sum, l) => sum + l.sessionCount(), 0) })
      return
  }
})

say({ type: 'hello' })

process.on('SIGTERM', () => void end())
// The terminal's interrupt goes to the whole process group: it is the primary that decides when workers end.
process.on('SIGINT', () => {})
process.on('uncaughtException', (err) => die(err, 'worker: uncaught error, ending'))
process.on('unhandledRejection', (err) => die(err, 'worker: unhandled rejection, ending'))

function listenersOf(server: string): ServerListeners | undefined {
  if (!mail) return undefined
  let found = listeners.get(server)
  if (!found) {
    found = createServerListeners(server, mail)
    listeners.set(server, found)
  }
  return found
}

async function drain(server: string): Promise<void> {
  const current = listeners.get(server)
  if (!current) return
  // New ones stand ready before these end: the server may come back any moment.
  listeners.delete(server)
  listenersOf(server)
  leaving.add(current)
  await current.drain()
  leaving.delete(current)
  say({ type: 'drained', server })
}

async function end(): Promise<void> {
  await Promise.all([...listeners.values()].map((each) => each.drain()))
  await mail?.close()
  process.exit(0)
}

/** A bug: the state of this process cannot be trusted. Its sessions end, a fresh worker takes the next ones. */
function die(err: unknown, text: string): void {
  log.fatal({ err }, text)
  process.exit(1)
}

function say(message: FromWorker): void {
  process.send?.(message, undefined, undefined, () => {})
}
