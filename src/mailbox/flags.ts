import type { FlagChange } from './account-mail.ts'

const systemFlags = ['\\Answered', '\\Deleted', '\\Draft', '\\Flagged', '\\Seen']

/** Flags are compared without regard to case (RFC 9051 §2.3.2); system flags are kept in the RFC's spelling, keywords as first given. */
export function canonicalFlags(flags: readonly string[]): string[] {
  const found = new Map<string, string>()
  for (const flag of flags) {
    const key = flag.toLowerCase()
    // \Recent is the session's, not the message's. A flag with a space would be two.
    if (key === '\\recent' || flag === '' || /\s/.test(flag)) continue
    if (!found.has(key)) found.set(key, systemFlags.find((system) => system.toLowerCase() === key) ?? flag)
  }
  return [...found.values()]
}

export function changedFlags(present: readonly string[], change: Pick<FlagChange, 'mode' | 'flags'>): string[] {
  const given = canonicalFlags(change.flags)
  switch (change.mode) {
    case 'replace':
      return given
    case 'add':
      return canonicalFlags([...present, ...given])
    case 'remove': {
      const gone = new Set(given.map((flag) => flag.toLowerCase()))
      return present.filter((flag) => !gone.has(flag.toLowerCase()))
    }
  }
}

export function sameFlags(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((flag) => b.includes(flag))
}
