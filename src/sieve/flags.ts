/** Flag names of strings, each of which may have several (RFC 5232 §2). Doubles, `\Recent` and what is no flag are left out. */
export function flagsOf(strings: readonly string[]): string[] {
  const byName = new Map<string, string>()
  for (const flag of strings.join(' ').split(/[ \t\r\n]+/)) {
    const name = flag.toLowerCase()
    if (isFlag(name) && !byName.has(name)) byName.set(name, flag)
  }
  return [...byName.values()]
}

export function withoutFlags(flags: readonly string[], gone: readonly string[]): string[] {
  const names = new Set(gone.map((flag) => flag.toLowerCase()))
  return flags.filter((flag) => !names.has(flag.toLowerCase()))
}

/** RFC 9051 §9: a system flag that a client may set, or an atom. */
function isFlag(name: string): boolean {
  if (name.startsWith('\\')) return /^\\(?:answered|flagged|deleted|seen|draft)$/.test(name)
  return /^[^\x00-\x20(){%*"\\\]\x7f-\uffff]{1,100}$/.test(name)
}
