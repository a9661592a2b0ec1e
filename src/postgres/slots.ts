import type pg from 'pg'
import type { Server } from './server.ts'
import { type NodeId, slotName } from './settings.ts'

/** Level-triggered: the slots that should be there are those of the part that the copy plays now. One change at a time. */
export class SlotKeeper {
  private readonly peers: readonly NodeId[]
  private readonly onFailure: (failure: Error) => void
  private busy = false

  constructor(peers: readonly NodeId[], onFailure: (failure: Error) => void) {
    this.peers = peers
    this.onFailure = onFailure
  }

  tend(server: Server, kind: 'standby' | 'primary', found: readonly string[]): void {
    const missing = kind === 'primary' ? this.peers.filter((peer) => !found.includes(slotName(peer))) : []
    if (this.busy || (missing.length === 0 && (kind === 'primary' || found.length === 0))) return
    this.busy = true
    void (kind === 'primary' ? createMissingSlots(server, missing) : dropSlots(server))
      .catch((failure: Error) => {
        if (server.running) this.onFailure(failure)
      })
      .finally(() => {
        this.busy = false
      })
  }
}

/**
 * The active copy keeps one physical slot for each peer: its log stays until the peer has it, up to a cap. A slot also makes
 * sure that a node follows with one walreceiver only: two of the same name would count as two synchronous copies.
 */
async function createMissingSlots(server: Server, peers: readonly NodeId[]): Promise<void> {
  for (const name of peers.map(slotName)) await server.observer.query(ensureSlot, { values: [name] })
}

/** Slots left from the time as active would keep the log from being recycled for ever. */
async function dropSlots(server: Server): Promise<void> {
  await server.observer.query(`select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name like 'handoff\\_%' and not active`)
}

/**
 * From the side of the standby, on a session with the active copy: makes its slot, anew when the old one has lost its log.
 * @returns false while the other side is still recovering: a slot made there might be left behind
 */
export async function ensureSlotOn(client: pg.Client, node: NodeId): Promise<boolean> {
  const recovering = (await client.query<{ recovering: boolean }>('select pg_is_in_recovery() as recovering')).rows[0]?.recovering ?? true
  if (recovering) return false
  await client.query(`select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1 and wal_status = 'lost' and not active`, [
    slotName(node),
  ])
  await client.query(ensureSlot, [slotName(node)])
  return true
}

const ensureSlot = `select pg_create_physical_replication_slot($1, true) where not exists (select from pg_replication_slots where slot_name = $1)`
