import type { AccountStore, MessageContent } from './account-store.ts'
import { memoryAccount } from './memory-account.ts'

export interface TestAccount {
  readonly store: AccountStore
  close(): Promise<void>
}

export async function openTestAccount(): Promise<TestAccount> {
  return { store: memoryAccount(() => ({}) as MessageContent['root']), close: async () => {} }
}
