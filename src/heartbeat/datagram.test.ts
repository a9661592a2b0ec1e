import { createSocket } from 'node:dgram'
import fc from 'fast-check'
import { expect, test, vi } from 'vitest'
import type { Heartbeat } from '../cluster/liveness.ts'
import { nodeId } from '../cluster/node.ts'
import { datagramKey, decodeHeartbeat, encodeHeartbeat, maxDatagram } from './datagram.ts'
import { HeartbeatSockets } from './sockets.ts'

const secret = Buffer.alloc(32, 7)
const key = datagramKey(secret, 'mail')
const beat: Heartbeat = {
  from: nodeId('a'),
  boot: 'x',
  seq: 12,
  sentWallMs: 1_700_000_000_000,
  echo: { b: { boot: 'y', seq: 4 } },
  silent: [nodeId('w')],
  heardMs: { b: { private: 12 } },
  agentAgeMs: 3,
  payload: { copies: [], asks: [{ group: 'sg1', epoch: 2 }], promises: [], serving: [] },
  released: [],
}

test('a heartbeat comes out as it went in', () => {
  expect(decodeHeartbeat(encodeHeartbeat(beat, key), key)).toEqual(beat)
})

test('fast-check: a datagram with any byte changed is refused', () => {
  const message = encodeHeartbeat(beat, key)
  fc.assert(
    fc.property(fc.nat(message.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const tampered = Buffer.from(message)
      tampered[at] = (tampered[at] as number) ^ change
      expect(typeof decodeHeartbeat(tampered, key)).toBe('string')
    }),
  )
})

test('fast-check: garbage is refused and throws nothing', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => typeof decodeHeartbeat(Buffer.from(bytes), key) === 'string'))
})

test('another cluster, another secret, another version and a datagram that is too large are told apart', () => {
  expect(decodeHeartbeat(encodeHeartbeat(beat, datagramKey(secret, 'other')), key)).toBe('wrong-cluster')
  expect(decodeHeartbeat(encodeHeartbeat(beat, datagramKey(Buffer.alloc(32, 8), 'mail')), key)).toBe('forged')
  const later = encodeHeartbeat(beat, key)
  later[3] = 2
  expect(decodeHeartbeat(later, key)).toBe('wrong-version')
  expect(decodeHeartbeat(Buffer.alloc(maxDatagram + 1), key)).toBe('oversize')
  expect(decodeHeartbeat(Buffer.alloc(10), key)).toBe('malformed')
  expect(() => encodeHeartbeat({ ...beat, boot: 'x'.repeat(maxDatagram) }, key)).toThrow(RangeError)
})

test('an authentic datagram that is no heartbeat is refused', () => {
  for (const wrong of [
    { ...beat, seq: -1 },
    { ...beat, seq: '1' },
    { ...beat, payload: {} },
    { ...beat, silent: [1] },
    { ...beat, echo: { b: null } },
    [],
    null,
  ])
    expect(decodeHeartbeat(encodeHeartbeat(wrong as Heartbeat, key), key)).toBe('malformed')
})

test('sockets tell the network, count what cannot be sent, and try an address that is not there again', async () => {
  const port = await freePort()
  const heard: string[] = []
  const listening = new HeartbeatSockets({
    own: [
      { network: 'private', address: '127.0.71.1' },
      { network: 'public', address: '127.0.72.1' },
      { network: 'elsewhere', address: '192.0.2.1' }, // RFC 5737: nobody has it
    ],
    port,
    onMessage: (network, message) => heard.push(`${network} ${message.toString()}`),
  })
  const speaking = new HeartbeatSockets({
    own: [
      { network: 'private', address: '127.0.71.2' },
      { network: 'public', address: '127.0.72.2' },
    ],
    port,
    onMessage: () => {},
  })
  try {
    await vi.waitFor(() => expect(Object.values(speaking.counters()).every((one) => one.bound)).toBe(true))
    await vi.waitFor(() => expect(listening.counters()['public']?.bound).toBe(true))
    speaking.send({ private: '127.0.71.1', public: '127.0.72.1', elsewhere: '192.0.2.1' }, port, Buffer.from('hello'))
    await vi.waitFor(() => expect(heard.toSorted()).toEqual(['private hello', 'public hello']))
    await vi.waitFor(() => expect(listening.counters()['elsewhere']?.errors['EADDRNOTAVAIL']).toBeGreaterThan(1))
    speaking.send({ private: '255.255.255.255' }, port, Buffer.from('no'))
    await vi.waitFor(() => expect(Object.keys(speaking.counters()['private']?.errors ?? {})).not.toEqual([]))
  } finally {
    listening.close()
    speaking.close()
  }
})

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4')
    socket.bind(0, '127.0.71.1', () => {
      const { port } = socket.address()
      socket.close(() => resolve(port))
    })
  })
}
