import { test } from 'vitest'
import { checkRandomCommands } from './random-commands.ts'
import { openTestAccount } from './test-account.ts'

test('two sessions: replies are of the grammar, sequence numbers always within what was told, nothing is a server bug', async () => {
  await checkRandomCommands(await openTestAccount(), 60)
})
