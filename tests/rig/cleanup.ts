import { removeDeadRigs } from './cleanup-rigs.ts'

/** `npm run rig:cleanup [-- --kept]`: removes what dead test runs have left, and kept rigs too when asked. */
const removed = await removeDeadRigs(process.argv.includes('--kept') ? { kept: 'too' } : {})
process.stdout.write(removed.length === 0 ? 'nothing to remove\n' : `removed: ${removed.join(', ')}\n`)
