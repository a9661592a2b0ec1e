import { once } from 'node:events'
import { connect, createServer, type Server } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { FastifyInstance } from 'fastify'
import { afterEach, expect, test } from 'vitest'
import { Raw, selfSigned } from '../smtp/fixture.ts'
import { createHttpListener, type HttpListener, type HttpListenerOptions } from './listener.ts'

interface Rig {
  readonly port: number
  readonly listener: HttpListener
  /** Lets the requests of /slow go. */
  readonly release: () => void
  readonly errors: object[]
}

const ends: (() => void)[] = []
afterEach(() => {
  for (const end of ends.splice(0)) end()
})

async function start(options: Partial<HttpListenerOptions> = {}): Promise<Rig> {
  let release = () => {}
  const released = new Promise<void>((resolve) => {
    release = resolve
  })
  const errors: object[] = []
  const routes = (app: FastifyInstance) => {
    app.get('/', ({ protocol }) => `over ${protocol}`)
    app.get('/slow', async () => {
      await released
      return 'at last'
    })
    app.get('/broken', async () => {
      throw new Error('secret detail')
    })
    app.post('/size', ({ body }) => String(JSON.stringify(body).length))
  }
  const listener = createHttpListener({ routes: [routes], log: { error: (fields) => void errors.push(fields) }, ...options })
  const server: Server = createServer({ pauseOnConnect: true }, (socket) => listener.attach(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  ends.push(() => {
    listener.close()
    server.close()
  })
  const address = server.address()
  return { port: address !== null && typeof address === 'object' ? address.port : 0, listener, release, errors }
}

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`

test('requests on one connection are answered in order, and failures tell nothing but where to look', async () => {
  const { port, errors, listener } = await start()
  const client = new Raw(port)
  expect(await client.say(get('/') + get('/nothing') + get('/'), /over http.*nothing here\n.*over http$/s)).toMatch(
    /^HTTP\/1\.1 200.*HTTP\/1\.1 404.*HTTP\/1\.1 200/s,
  )
  const broken = await client.say(get('/broken'), /log (\w+)\)\n$/)
  expect(broken).toMatch(/^HTTP\/1\.1 503/)
  expect(broken).not.toContain('secret')
  expect(errors).toMatchObject([{ id: /log (\w+)/.exec(broken)?.[1], err: { message: 'secret detail' } }])
  expect(listener.sessionCount()).toBe(1)
  client.socket.destroy()
  await expect.poll(() => listener.sessionCount()).toBe(0)
})

test('TLS from the first byte', async () => {
  const { port } = await start({ tls: selfSigned() })
  const client = new Raw(connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }))
  expect(await client.say(get('/'), /over \w+$/)).toMatch(/over https$/)
  const plain = new Raw(port)
  expect(await plain.say(get('/'), /<closed>$/)).not.toContain('HTTP/1.1 200')
})

test('a header, a body or a handshake that does not come to an end closes the connection, and so does what is no HTTP', async () => {
  const limits = { headersMsMax: 100, requestMsMax: 150 }
  const { port } = await start({ limits })
  for (const beginning of [
    '',
    'GET / HTTP/1.1\r\nHost: x\r\n',
    'POST /size HTTP/1.1\r\nHost: x\r\ncontent-length: 10\r\ncontent-type: application/json\r\n\r\n{',
    '\0\x01\x02\r\n\r\n',
  ])
    expect(await new Raw(port).say(beginning, /<closed>$/)).toMatch(/^(HTTP\/1\.1 (400|408) .*)?<closed>$/s)
  const secure = await start({ limits, tls: selfSigned() })
  await new Raw(connect(secure.port, '127.0.0.1')).until(/<closed>$/)
})

test('a body that is too large is refused, too many connections are turned away', async () => {
  const { port } = await start({ limits: { bodyBytesMax: 1000 } })
  const client = new Raw(port)
  expect(await client.say(`POST /size HTTP/1.1\r\nHost: x\r\ncontent-type: application/json\r\ncontent-length: 5000\r\n\r\n`, /\r\n\r\n/)).toMatch(
    /^HTTP\/1\.1 413/,
  )
  const one = await start({ sessionsMax: 1 })
  const kept = new Raw(one.port)
  await kept.say(get('/'), /over http$/)
  await new Raw(one.port).until(/<closed>$/)
  await kept.say(get('/'), /over http$/)
})

test('drained, requests in flight are answered and their connections end; idle ones end at once', async () => {
  const { port, listener, release } = await start()
  const [idle, unused, busy] = [new Raw(port), new Raw(port), new Raw(port)]
  await idle.say(get('/'), /over http$/)
  busy.socket.write(get('/slow'))
  await expect.poll(() => listener.sessionCount()).toBe(3)
  const probe = new Raw(port)
  await probe.say(get('/'), /over http$/)
  const drained = listener.drain()
  await Promise.all([idle, unused, probe].map((client) => client.until(/<closed>$/)))
  await new Raw(port).until(/<closed>$/)
  expect(busy.text).toBe('')
  release()
  const answer = await busy.until(/<closed>$/)
  expect(answer).toMatch(/^HTTP\/1\.1 200.*connection: close.*at last<closed>$/is)
  await drained
})
