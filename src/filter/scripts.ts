import { createHash, randomUUID } from 'node:crypto'
import { HandoffError } from '../errors.ts'
import type { Mount } from '../mount/mount.ts'
import type { Queries } from '../mount/target.ts'
import { compile } from '../sieve/compile.ts'
import { limits as scriptLimits } from '../sieve/limits.ts'
import type { Program } from '../sieve/program.ts'
import { warningsOf } from '../sieve/warnings.ts'

export interface ScriptEntry {
  readonly name: string
  readonly active: boolean
}

/** The Sieve scripts of one account; at most one is active and filters its mail. Names are those that `scriptName` gives. */
export interface Scripts {
  list(): Promise<readonly ScriptEntry[]>
  /** @throws HandoffError SIEVE_SCRIPT_UNKNOWN */
  get(name: string): Promise<string>
  /**
   * Compiled before it is kept; an active one goes on as the new one.
   * @returns what is no error, but hardly meant. @throws HandoffError SIEVE_SCRIPT_INVALID, SIEVE_SCRIPT_LIMIT, SIEVE_SCRIPT_TOO_LARGE
   */
  put(name: string, content: string): Promise<readonly string[]>
  /** Would a script of this size be kept under this name? @throws HandoffError SIEVE_SCRIPT_LIMIT, SIEVE_SCRIPT_TOO_LARGE */
  requireSpace(name: string, bytes: number): Promise<void>
  /** '' makes none active. @throws HandoffError SIEVE_SCRIPT_UNKNOWN */
  activate(name: string): Promise<void>
  /** @throws HandoffError SIEVE_SCRIPT_UNKNOWN, SIEVE_SCRIPT_EXISTS */
  rename(from: string, to: string): Promise<void>
  /** @throws HandoffError SIEVE_SCRIPT_UNKNOWN, SIEVE_SCRIPT_ACTIVE */
  remove(name: string): Promise<void>
}

const scriptsMax = 50

export function scriptsOf(mount: Mount, accountId: string): Scripts {
  // One change after the other, or two sessions could each find room for one more script, or none active.
  const write = <T>(fn: (db: Queries) => Promise<T>) =>
    mount.write(randomUUID(), async (db) => {
      await db.query('select from mail.account where id = $1 for no key update', [accountId])
      return fn(db)
    })
  return {
    async list() {
      const sql = 'select name, active from mail.sieve_script where account_id = $1 order by name'
      return (await mount.read((db) => db.query<ScriptEntry>(sql, [accountId]))).rows
    },
    async get(name) {
      const sql = 'select content from mail.sieve_script where account_id = $1 and name = $2'
      const { rows } = await mount.read((db) => db.query<{ content: string }>(sql, [accountId, name]))
      if (!rows[0]) throw unknownScript(name)
      return rows[0].content
    },
    async put(name, content) {
      requireSize(Buffer.byteLength(content))
      const warnings = checkScript(content)
      await write(async (db) => {
        await requireSpace(db, accountId, name, Buffer.byteLength(content))
        await db.query(
          `insert into mail.sieve_script (account_id, name, content) values ($1, $2, $3)
           on conflict (account_id, name) do update set content = excluded.content`,
          [accountId, name, content],
        )
        return null
      })
      return warnings
    },
    requireSpace: (name, bytes) => mount.read((db) => requireSpace(db, accountId, name, bytes)),
    async activate(name) {
      await write(async (db) => {
        await db.query('update mail.sieve_script set active = false where account_id = $1 and active and name <> $2', [accountId, name])
        if (name !== '') await requireOne(name, db.query('update mail.sieve_script set active = true where account_id = $1 and name = $2', [accountId, name]))
        return null
      })
    },
    async rename(from, to) {
      await write(async (db) => {
        const { rowCount } = await db.query('select from mail.sieve_script where account_id = $1 and name = $2', [accountId, to])
        if (rowCount > 0) throw new HandoffError('SIEVE_SCRIPT_EXISTS', `there is a script "${to}"`)
        await requireOne(from, db.query('update mail.sieve_script set name = $3 where account_id = $1 and name = $2', [accountId, from, to]))
        return null
      })
    },
    async remove(name) {
      await write(async (db) => {
        const { rows } = await db.query<{ active: boolean }>('select active from mail.sieve_script where account_id = $1 and name = $2 for update', [
          accountId,
          name,
        ])
        if (!rows[0]) throw unknownScript(name)
        if (rows[0].active) throw new HandoffError('SIEVE_SCRIPT_ACTIVE', `the script "${name}" is active`)
        await db.query('delete from mail.sieve_script where account_id = $1 and name = $2', [accountId, name])
        return null
      })
    },
  }
}

/** @returns what is no error, but hardly meant. @throws SieveError */
export function checkScript(content: string): readonly string[] {
  return warningsOf(compile(content))
}

function requireSize(bytes: number): void {
  if (bytes > scriptLimits.scriptBytes)
    throw new HandoffError('SIEVE_SCRIPT_TOO_LARGE', `the script has ${bytes} octets, at most ${scriptLimits.scriptBytes} are kept`)
}

async function requireSpace(db: Queries, accountId: string, name: string, bytes: number): Promise<void> {
  requireSize(bytes)
  const { rows } = await db.query<{ others: number }>('select count(*)::int as others from mail.sieve_script where account_id = $1 and name <> $2', [
    accountId,
    name,
  ])
  if ((rows[0]?.others ?? 0) >= scriptsMax) throw new HandoffError('SIEVE_SCRIPT_LIMIT', `there are ${scriptsMax} scripts already, which is the limit`)
}

async function requireOne(name: string, changed: Promise<{ readonly rowCount: number }>): Promise<void> {
  if ((await changed).rowCount === 0) throw unknownScript(name)
}

function unknownScript(name: string): HandoffError {
  return new HandoffError('SIEVE_SCRIPT_UNKNOWN', `there is no script "${name}"`)
}

const compiledMax = 200

/** Programs by the hash of their script, the least recently used forgotten first. */
export class CompiledScripts {
  readonly #programs = new Map<string, Program>()

  /** @throws SieveError */
  get(content: string): Program {
    const hash = createHash('sha256').update(content).digest('base64')
    const program = this.#programs.get(hash) ?? compile(content)
    this.#programs.delete(hash)
    this.#programs.set(hash, program)
    const [oldest] = this.#programs.keys()
    if (this.#programs.size > compiledMax && oldest !== undefined) this.#programs.delete(oldest)
    return program
  }
}
