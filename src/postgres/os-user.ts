import { execFileSync } from 'node:child_process'
import { HandoffError } from '../errors.ts'

/** Whom PostgreSQL's programs run as. They refuse to run as root ("initdb", "postgres" in the manual's reference). */
export interface OsUser {
  readonly name: string
  readonly uid: number
  readonly gid: number
  /** This process is root, so it can and must change to the user. */
  readonly change: boolean
}

/** The user `postgres` of the system's packages when this process is root, else the current user. */
export function postgresOsUser(name = 'postgres'): OsUser {
  const uid = process.getuid?.() ?? -1
  if (uid !== 0) return { name: process.env['USER'] ?? String(uid), uid, gid: process.getgid?.() ?? -1, change: false }
  const id = (flag: string): number => {
    try {
      return Number(execFileSync('id', [flag, name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }))
    } catch (cause) {
      throw new HandoffError('POSTGRES_USER_MISSING', `PostgreSQL does not run as root, and the system has no user "${name}"`, { cause })
    }
  }
  return { name, uid: id('-u'), gid: id('-g'), change: true }
}

/** Options for `spawn` that make the child this user's. */
export const asUser = (user: OsUser): { readonly uid?: number; readonly gid?: number } => (user.change ? { uid: user.uid, gid: user.gid } : {})
