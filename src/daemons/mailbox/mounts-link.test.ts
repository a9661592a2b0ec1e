import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import { expect, test, vi } from 'vitest'
import type { MountsMessage } from '../../mount/mounts.ts'
import { MountsLink } from './mounts-link.ts'

const mountsOf = (name: string) => ({ type: 'mounts', servers: [{ name, address: '127.0.0.1', serving: true, databases: [], ports: {} }], databases: [] })

async function serve(path: string): Promise<{ sockets: Socket[]; end(): Promise<void> }> {
  const sockets: Socket[] = []
  const server = createServer((socket) => sockets.push(socket)).listen(path)
  await once(server, 'listening')
  return {
    sockets,
    end: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}

test('the link survives its partner, splits lines anywhere, and keeps the last state over what it does not understand', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'mounts-'))
  const path = join(directory, 's')
  const seen: MountsMessage[] = []
  const link = new MountsLink({ path, log: pino({ level: 'silent' }), receive: (mounts) => seen.push(mounts) })
  link.open()
  const names = () => seen.map((mounts) => mounts.servers[0]?.name)
  try {
    const first = await serve(path)
    await vi.waitFor(() => expect(first.sockets).toHaveLength(1))
    const line = `${JSON.stringify(mountsOf('één'))}\n`
    const bytes = Buffer.from(line)
    const cut = bytes.indexOf(0xc3) + 1
    first.sockets[0]?.write(bytes.subarray(0, cut))
    first.sockets[0]?.write(bytes.subarray(cut))
    await vi.waitFor(() => expect(names()).toEqual(['één']))
    first.sockets[0]?.write('{"type":"mounts"}\nnonsense\n')
    first.sockets[0]?.write(`${JSON.stringify(mountsOf('b'))}\n`)
    await vi.waitFor(() => expect(names().at(-1)).toBe('b'))
    await first.end()
    await vi.waitFor(() => expect(link.connected).toBe(false))
    const second = await serve(path)
    await vi.waitFor(() => expect(second.sockets).toHaveLength(1))
    second.sockets[0]?.write(`${JSON.stringify(mountsOf('c'))}\n`)
    await vi.waitFor(() => expect(names().at(-1)).toBe('c'))
    link.close()
    await second.end()
  } finally {
    link.close()
    await rm(directory, { recursive: true })
  }
})
