import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import pino from 'pino'
import { afterEach, expect, test, vi } from 'vitest'
import type { MountsMessage } from '../../mount/mounts.ts'
import { Doors } from './doors.ts'

const log = pino({ level: 'silent' })
const made: Doors[] = []
afterEach(() => {
  for (const doors of made.splice(0)) doors.closeAll()
})

function start() {
  const accepted: string[] = []
  const closed: string[] = []
  const doors = new Doors({
    log,
    accept: (socket, door) => {
      accepted.push(`${door.server}/${door.protocol}`)
      socket.destroy()
    },
    closed: (server) => closed.push(server),
  })
  made.push(doors)
  return { doors, accepted, closed }
}

function mounts(serving: boolean, ports: MountsMessage['servers'][number]['ports'], address = '127.0.0.1'): MountsMessage {
  return { type: 'mounts', servers: [{ name: 'mail1', address, serving, databases: [], ports }], databases: [] }
}

test('doors are open exactly while the server is serving, and its end is told once', async () => {
  const { doors, accepted, closed } = start()
  doors.setMounts(mounts(false, { smtp: 0, lmtp: 0 }))
  expect(doors.health()).toEqual([])
  doors.setMounts(mounts(true, { smtp: 0, lmtp: 0 }))
  await vi.waitFor(() => expect(doors.health().map((door) => door.listening)).toEqual([true, true]))
  const [door] = doors.health()
  const socket = connect(door?.port ?? 0, '127.0.0.1')
  await once(socket, 'close')
  expect(accepted).toEqual(['mail1/smtp'])
  doors.setMounts(mounts(true, { smtp: 0, lmtp: 0 }))
  expect(doors.health()[0]?.port).toBe(door?.port)
  doors.setMounts(mounts(false, { smtp: 0, lmtp: 0 }))
  expect(doors.health()).toEqual([])
  expect(closed).toEqual(['mail1'])
  const refused = connect(door?.port ?? 0, '127.0.0.1')
  await expect(once(refused, 'connect')).rejects.toThrow('ECONNREFUSED')
})

test('a port in use is named and taken as soon as it is free', async () => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  const address = other.address()
  const port = address !== null && typeof address === 'object' ? address.port : 0
  const { doors } = start()
  doors.setMounts(mounts(true, { smtp: port }))
  await vi.waitFor(() => expect(doors.health()).toEqual([expect.objectContaining({ listening: false, error: 'EADDRINUSE' })]))
  other.close()
  await vi.waitFor(() => expect(doors.health()).toEqual([expect.objectContaining({ listening: true, port })]))
})

test('an address that is not on this machine yet is tried until it is, or until serving ends', async () => {
  const { doors, closed } = start()
  doors.setMounts(mounts(true, { smtp: 0 }, '192.0.2.1'))
  await vi.waitFor(() => expect(doors.health()).toEqual([expect.objectContaining({ listening: false, error: 'EADDRNOTAVAIL' })]))
  doors.setMounts(mounts(false, { smtp: 0 }, '192.0.2.1'))
  expect(doors.health()).toEqual([])
  expect(closed).toEqual(['mail1'])
})
