import { removeAddress } from '../host/addresses.ts'
import { isRunning, killProcess, type ProcessId, processesIn } from '../host/processes.ts'
import type { GuardedGroup } from './protocol.ts'

export interface TakenDown {
  readonly did: readonly string[]
  readonly failed: readonly string[]
}

/** Kills what serves a group. Synchronous: when it returns, the signals have been sent. */
export function killServing(group: Pick<GuardedGroup, 'processes' | 'directories'>): TakenDown & { readonly killed: readonly ProcessId[] } {
  const did: string[] = []
  const failed: string[] = []
  const killed: ProcessId[] = []
  const kill = (target: ProcessId, what: string): void => {
    try {
      if (!killProcess(target)) return
      killed.push(target)
      did.push(`killed ${what} ${target.pid}`)
    } catch (failure) {
      failed.push(`process ${target.pid}: ${(failure as Error).message}`)
    }
  }
  // The postmaster first, so that it starts no more backends; then what it has left behind.
  for (const target of group.processes) kill(target, 'process')
  for (const { path, program } of group.directories) {
    for (let round = 0; round < 3; round += 1) {
      const rest = processesIn(path, program).filter(
        (one) => one.pid !== process.pid && !killed.some((gone) => gone.pid === one.pid && gone.startTicks === one.startTicks),
      )
      if (rest.length === 0) break
      for (const target of rest) kill(target, 'process')
    }
  }
  return { did, failed, killed }
}

/** Takes the addresses off their interfaces. */
export async function removeAddresses(addresses: readonly string[]): Promise<TakenDown> {
  const results = await Promise.all(addresses.map((address) => removeAddress(address)))
  return {
    did: results.flatMap(({ removed }) => removed.map((one) => `removed address ${one.address} from ${one.interface}`)),
    failed: results.flatMap(({ failed }) => failed),
  }
}

/** Waits until killed processes are gone: one in uninterruptible sleep (a hung disk) still holds its sockets. False when some are left. */
export async function gone(killed: readonly ProcessId[], withinMs: number): Promise<boolean> {
  for (let waited = 0; killed.some(isRunning); waited += 5) {
    if (waited >= withinMs) return false
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  return true
}
