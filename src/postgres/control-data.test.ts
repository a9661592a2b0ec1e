import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { checkVersion } from './control-data.ts'
import { postgresOsUser } from './os-user.ts'

let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'handoff-version-'))
  chmodSync(directory, 0o755)
  writeFileSync(join(directory, 'PG_VERSION'), '15\n')
})

afterEach(() => rmSync(directory, { recursive: true, force: true }))

function install(version: string): void {
  writeFileSync(join(directory, 'postgres'), `#!/bin/sh\necho 'postgres (PostgreSQL) ${version}'\n`)
  chmodSync(join(directory, 'postgres'), 0o755)
}

test('programs of another major version than the data directory are refused, with both named', async () => {
  install('16.2')
  const refusal = { code: 'POSTGRES_VERSION_MISMATCH', message: expect.stringMatching(/was made by PostgreSQL 15, .* has 16/) }
  await expect(checkVersion(directory, directory, postgresOsUser())).rejects.toMatchObject(refusal)
  install('15.9')
  await checkVersion(directory, directory, postgresOsUser())
})
