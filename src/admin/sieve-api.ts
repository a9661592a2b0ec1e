import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { read } from './read.ts'
import { HandoffError } from '../errors.ts'
import { scriptName } from '../filter/script-name.ts'
import type { ScriptEntry, Scripts } from '../filter/scripts.ts'

/** What the admin API does with people's Sieve scripts, handed in by the daemon. */
export interface SieveAdmin {
  /** The scripts of whoever has this address or alias. @throws HandoffError ACCOUNT_UNKNOWN */
  scriptsFor(address: string): Promise<Scripts>
}

export interface ScriptContent extends ScriptEntry {
  readonly content: string
}

export interface StoredScript {
  /** What is no error, but hardly meant. */
  readonly warnings: readonly string[]
}

/** A script of the largest size, every character of it escaped. */
const bodyBytesMax = 1024 * 1024

const address = z.string().min(1).max(400)
const name = z.string().max(400)
const owner = z.strictObject({ address })
/** Without a name: the active one, if there is one. */
const one = z.strictObject({ address, name: name.optional() })
const named = z.strictObject({ address, name })
const stored = z.strictObject({ address, name, content: z.string().min(1) })
/** null: none is active. */
const activated = z.strictObject({ address, name: name.nullable() })

export function sieveRoutes(app: FastifyInstance, admin: SieveAdmin): void {
  app.get('/api/v1/sieve', async (request) => (await admin.scriptsFor(read(owner, request.query).address)).list())
  app.get('/api/v1/sieve/script', async (request): Promise<ScriptContent> => {
    const wanted = read(one, request.query)
    const scripts = await admin.scriptsFor(wanted.address)
    const entry = choose(await scripts.list(), wanted.name)
    return { ...entry, content: await scripts.get(entry.name) }
  })
  app.post('/api/v1/sieve/put', { bodyLimit: bodyBytesMax }, async (request): Promise<StoredScript> => {
    const given = read(stored, request.body)
    const scripts = await admin.scriptsFor(given.address)
    return { warnings: await scripts.put(scriptName(given.name), given.content) }
  })
  app.post('/api/v1/sieve/activate', async (request) => {
    const given = read(activated, request.body)
    const scripts = await admin.scriptsFor(given.address)
    await scripts.activate(given.name === null ? '' : scriptName(given.name))
    return scripts.list()
  })
  app.post('/api/v1/sieve/remove', async (request) => {
    const given = read(named, request.body)
    const scripts = await admin.scriptsFor(given.address)
    await scripts.remove(scriptName(given.name))
    return scripts.list()
  })
}

function choose(entries: readonly ScriptEntry[], name: string | undefined): ScriptEntry {
  const wanted = name === undefined ? undefined : scriptName(name)
  const found = entries.find((entry) => (wanted === undefined ? entry.active : entry.name === wanted))
  if (found === undefined) throw new HandoffError('SIEVE_SCRIPT_UNKNOWN', wanted === undefined ? 'no script is active' : `there is no script "${wanted}"`)
  return found
}
