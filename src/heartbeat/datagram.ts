import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { Heartbeat } from '../cluster/liveness.ts'

/**
 * A heartbeat on the wire: `HHB` and the version, 8 bytes that tell clusters apart, HMAC-SHA256 over all the rest, JSON.
 * Nothing is answered to a datagram that is refused, so a stranger learns nothing and cannot be amplified.
 */
const magic = Buffer.from([0x48, 0x48, 0x42, 0x01])
const tagEnd = 12
const macEnd = 44

/** The largest datagram that is sent or taken. Beyond the MTU it goes in fragments, which the 64 nodes of a large cluster need. */
export const maxDatagram = 60_000

export interface DatagramKey {
  readonly tag: Buffer
  readonly key: Buffer
}

/** @param secret derived from the cluster secret for heartbeats alone @param cluster name of the cluster */
export function datagramKey(secret: Uint8Array, cluster: string): DatagramKey {
  return {
    tag: createHash('sha256').update(`handoff cluster ${cluster}`).digest().subarray(0, 8),
    key: createHmac('sha256', secret).update(`handoff heartbeat ${cluster}`).digest(),
  }
}

/** @throws RangeError when the heartbeat says more than a datagram takes */
export function encodeHeartbeat(heartbeat: Heartbeat, { tag, key }: DatagramKey): Buffer {
  const body = Buffer.from(JSON.stringify(heartbeat))
  if (macEnd + body.length > maxDatagram) throw new RangeError(`a heartbeat of ${macEnd + body.length} bytes, at most ${maxDatagram} fit`)
  const head = Buffer.concat([magic, tag])
  return Buffer.concat([head, createHmac('sha256', key).update(head).update(body).digest(), body])
}

export type Refusal = 'oversize' | 'malformed' | 'wrong-version' | 'wrong-cluster' | 'forged'

/** A heartbeat, or why it is none. Only what has proved to come from this cluster is parsed. */
export function decodeHeartbeat(message: Buffer, { tag, key }: DatagramKey): Heartbeat | Refusal {
  if (message.length > maxDatagram) return 'oversize'
  if (message.length <= macEnd || !message.subarray(0, 3).equals(magic.subarray(0, 3))) return 'malformed'
  if (message[3] !== magic[3]) return 'wrong-version'
  if (!message.subarray(4, tagEnd).equals(tag)) return 'wrong-cluster'
  const body = message.subarray(macEnd)
  const mac = createHmac('sha256', key).update(message.subarray(0, tagEnd)).update(body).digest()
  if (!timingSafeEqual(mac, message.subarray(tagEnd, macEnd))) return 'forged'
  try {
    const value: unknown = JSON.parse(body.toString('utf8'))
    return isHeartbeat(value) ? value : 'malformed'
  } catch {
    return 'malformed'
  }
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
const isNames = (value: unknown): boolean => Array.isArray(value) && value.every((one) => typeof one === 'string')
const isRecords = (value: unknown): boolean => Array.isArray(value) && value.every(isObject)

/** The sender has the secret, so this is against another version's mistakes, not against malice. */
function isHeartbeat(value: unknown): value is Heartbeat {
  if (!isObject(value)) return false
  const { payload } = value
  return (
    typeof value['from'] === 'string' &&
    typeof value['boot'] === 'string' &&
    isCount(value['seq']) &&
    typeof value['sentWallMs'] === 'number' &&
    isObject(value['echo']) &&
    Object.values(value['echo']).every((echo) => isObject(echo) && typeof echo['boot'] === 'string' && isCount(echo['seq'])) &&
    isNames(value['silent']) &&
    isObject(value['heardMs']) &&
    Object.values(value['heardMs']).every(isObject) &&
    (value['agentAgeMs'] === null || typeof value['agentAgeMs'] === 'number') &&
    isRecords(value['released']) &&
    (payload === null ||
      (isObject(payload) && isRecords(payload['copies']) && isRecords(payload['asks']) && isRecords(payload['promises']) && isRecords(payload['serving'])))
  )
}
