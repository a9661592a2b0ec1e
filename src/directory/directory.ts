import type { Mount } from '../mount/mount.ts'

/** Who has mail in one mounted database. Addresses are compared without regard to case (RFC 5321 §2.4 leaves the local part to us). */
export interface Directory {
  readonly mount: Mount
  /** Makes INBOX and the special-use mailboxes, too. @throws HandoffError ACCOUNT_EXISTS, ACCOUNT_INVALID */
  createAccount(account: { readonly address: string; readonly password: string }): Promise<{ readonly accountId: string }>
  /** @throws HandoffError ACCOUNT_UNKNOWN */
  setPassword(address: string, password: string): Promise<void>
  /** @throws HandoffError ACCOUNT_UNKNOWN, ACCOUNT_EXISTS (the alias is taken), ACCOUNT_INVALID */
  createAlias(alias: string, address: string): Promise<void>
  listAccounts(): Promise<readonly { readonly address: string; readonly accountId: string }[]>
  /** @returns undefined for a wrong name or password, which take the same time */
  authenticate(username: string, password: string): Promise<{ readonly accountId: string; readonly address: string } | undefined>
  /** RFC 5321 §4.5.1: the first `postmaster@domain`, account or alias, by the domain's name. */
  findPostmaster(): Promise<{ readonly accountId: string; readonly address: string } | undefined>
  /** Are there mailboxes of this domain? In any case, with or without the last dot. */
  hasDomain(name: string): Promise<boolean>
  /** `user@domain`, `user+tag@domain` or an alias. `tag` is what followed the plus, `filtered`: there is an active Sieve script. */
  resolveRecipient(
    address: string,
  ): Promise<{ readonly accountId: string; readonly address: string; readonly tag: string | undefined; readonly filtered: boolean } | undefined>
}
