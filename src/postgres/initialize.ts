import { renameSync, rmSync, writeFileSync, chownSync } from 'node:fs'
import { join } from 'node:path'
import { checkVersion, readControlData } from './control-data.ts'
import { makeLayout } from './layout.ts'
import { runProgram } from './program.ts'
import { type ServerContext, writePart } from './server.ts'
import { handoffRole, replicatorRole } from './settings.ts'

export interface ClientRole {
  readonly name: string
  readonly password: string
}

export interface InitializeOptions {
  readonly binDirectory: string
  /** A role for plain SQL clients, which owns nothing but may create databases of its own. */
  readonly client: ClientRole | null
  readonly signal: AbortSignal
}

/**
 * Makes a new, empty instance: in a directory of another name, renamed when it is whole, so that nothing half made is ever found.
 * Collation C: no upgrade of the C library can reorder an index under us; character classes are those of UTF-8.
 * @returns the system identifier
 */
export async function initialize(context: ServerContext, options: InitializeOptions): Promise<string> {
  const { layout, user, handoffPassword, settings } = context
  const program = (name: string): string => join(options.binDirectory, name)
  await checkVersion(options.binDirectory, layout.data, user)
  makeLayout(layout, user)
  rmSync(layout.unfinishedData, { recursive: true, force: true })
  const passwordFile = join(layout.directory, 'initdb.password')
  try {
    writeFileSync(passwordFile, `${handoffPassword}\n`, { mode: 0o600 })
    if (user.change) chownSync(passwordFile, user.uid, user.gid)
    const locale = ['--encoding=UTF8', '--locale=C', '--lc-ctype=C.UTF-8', '--text-search-config=simple']
    const args = [
      '-D',
      layout.unfinishedData,
      `--username=${handoffRole}`,
      `--pwfile=${passwordFile}`,
      '--wal-segsize=1',
      '--data-checksums',
      '--auth=scram-sha-256',
      '--no-instructions',
      ...locale,
    ]
    await runProgram(program('initdb'), args, { user, timeoutMs: 120_000, signal: options.signal })
  } finally {
    rmSync(passwordFile, { force: true })
  }
  writePart(context, { kind: 'primary', epoch: 0, gate: 'closed', standbyNames: '' })
  const single = [
    '--single',
    '-j',
    '-D',
    layout.unfinishedData,
    '-c',
    `config_file=${layout.configFile}`,
    '-c',
    `hba_file=${layout.hbaFile}`,
    '-c',
    `ident_file=${layout.identFile}`,
  ]
  const { stdout, stderr } = await runProgram(
    program('postgres'),
    [...single, '-c', 'default_transaction_read_only=off', '-c', 'exit_on_error=on', 'postgres'],
    {
      user,
      timeoutMs: 60_000,
      signal: options.signal,
      input: roles(settings.replicatorPassword, options.client),
    },
  )
  if (/ERROR|FATAL/.test(stdout + stderr)) throw new Error(`creating the roles failed: ${stderr}`)
  const { systemId } = await readControlData(options.binDirectory, layout.unfinishedData, user)
  options.signal.throwIfAborted()
  renameSync(layout.unfinishedData, layout.data)
  return systemId
}

/** With `-j` a statement ends at a semicolon followed by an empty line. The grants are those that pg_rewind's manual page asks for. */
function roles(replicatorPassword: string, client: ClientRole | null): string {
  const statements = [
    `create role ${replicatorRole} login replication password ${quoteLiteral(replicatorPassword)}`,
    // How large the copy is, before a seed.
    `grant pg_read_all_stats to ${replicatorRole}`,
    `grant execute on function pg_catalog.pg_ls_dir(text, boolean, boolean) to ${replicatorRole}`,
    `grant execute on function pg_catalog.pg_stat_file(text, boolean) to ${replicatorRole}`,
    `grant execute on function pg_catalog.pg_read_binary_file(text) to ${replicatorRole}`,
    `grant execute on function pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean) to ${replicatorRole}`,
    ...(client === null ? [] : [`create role ${quoteName(client.name)} login createdb password ${quoteLiteral(client.password)}`]),
  ]
  return statements.map((statement) => `${statement};\n\n`).join('')
}

export const quoteName = (name: string): string => `"${name.replaceAll('"', '""')}"`
const quoteLiteral = (text: string): string => `'${text.replaceAll("'", "''")}'`
