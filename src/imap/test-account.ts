import type { AccountMail } from '../mailbox/account-mail.ts'
import { parseMessage } from '../message/structure.ts'
import { memoryAccount } from './memory-account.ts'

export interface TestAccount {
  readonly store: AccountMail
  close(): Promise<void>
}

export async function openTestAccount(): Promise<TestAccount> {
  return { store: memoryAccount(parseMessage), close: async () => {} }
}
