import type pg from 'pg'
import type { Server } from './server.ts'
import { type NodeId, slotName } from './settings.ts'

/**
 * The active copy keeps one physical slot for each peer: its log stays until the peer has it, up to a cap. A slot also makes
 * sure that a node follows with one walreceiver only: two of the same name would count as two synchronous copies.
 */
export async function createMissingSlots(server: Server, peers: readonly NodeId[]): Promise<void> {
  for (const name of peers.map(slotName)) await server.observer.query(ensureSlot, { values: [name] })
}

/** Slots left from the time as active would keep the log from being recycled for ever. */
export async function dropSlots(server: Server, except: readonly string[] = []): Promise<void> {
  await server.observer.query(
    `select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name like 'handoff\\_%' and not active and slot_name <> all($1)`,
    { values: [except] },
  )
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
