import type { AccountMail, MessageContent } from '../mailbox/account-mail.ts'
import { memoryAccount } from './memory-account.ts'

export interface TestAccount {
  readonly store: AccountMail
  close(): Promise<void>
}

export async function openTestAccount(): Promise<TestAccount> {
  return { store: memoryAccount(() => ({}) as MessageContent['root']), close: async () => {} }
}
