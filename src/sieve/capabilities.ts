/** What scripts may `require`; ManageSieve announces the same list (RFC 5804 §1.7). */
export const capabilities = [
  'body',
  'comparator-i;ascii-casemap',
  'comparator-i;ascii-numeric',
  'comparator-i;octet',
  'copy',
  'date',
  'duplicate',
  'encoded-character',
  'envelope',
  'environment',
  'ereject',
  'fileinto',
  'ihave',
  'imap4flags',
  'index',
  'mailbox',
  'regex',
  'reject',
  'relational',
  'special-use',
  'subaddress',
  'vacation',
  'vacation-seconds',
  'variables',
] as const

export type Capability = (typeof capabilities)[number]

/** Case matters (RFC 5228 §2.10.5). */
export function isCapability(name: string): name is Capability {
  return (capabilities as readonly string[]).includes(name)
}

/** RFC 5463 §4: what changes how strings are read cannot be switched on in the middle of a script. */
export function canBeEnabledLate(capability: Capability): boolean {
  return capability !== 'variables' && capability !== 'encoded-character'
}
