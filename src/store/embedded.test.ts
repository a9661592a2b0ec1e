import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually, type StoreHarness, storeConformance } from './conformance.ts'
import { EmbeddedStore } from './embedded/client.ts'
import { type CompiledStore, compileStore, type StoreProcess } from './embedded/process-fixture.ts'
import { EmbeddedServer } from './embedded/server.ts'

const historyRevisionsMax = 1000

async function inProcess(): Promise<StoreHarness> {
  const directory = mkdtempSync(join(tmpdir(), 'handoff-store-'))
  let server = await EmbeddedServer.open({ dataDirectory: directory, listen: '127.0.0.1:0', historyRevisionsMax, logBytesMax: 200_000 })
  const { endpoint } = server
  return {
    open: () => new EmbeddedStore({ endpoint }),
    outage: {
      begin: () => server.close(),
      end: async () => {
        server = await EmbeddedServer.open({ dataDirectory: directory, listen: endpoint, historyRevisionsMax, logBytesMax: 200_000 })
      },
    },
    async compact(client) {
      const writes = Array.from({ length: historyRevisionsMax * 1.3 }, () =>
        client.transact({ compare: [], put: [{ key: '/filler', value: '0' }], delete: [] }),
      )
      await Promise.all(writes)
    },
    disturbances: {
      'the server is closed and opened again': async (progress) => {
        for (let round = 0; round < 3; round += 1) {
          await server.close()
          server = await EmbeddedServer.open({ dataDirectory: directory, listen: endpoint, historyRevisionsMax, logBytesMax: 200_000 })
          await progress()
        }
      },
    },
    async stop() {
      await server.close()
      rmSync(directory, { recursive: true })
    },
  }
}

async function ownProcess(): Promise<StoreHarness> {
  const compiled: CompiledStore = await compileStore()
  const directory = mkdtempSync(join(tmpdir(), 'handoff-store-'))
  let server: StoreProcess = await compiled.start({ data: directory, listen: '127.0.0.1:0' })
  const { endpoint } = server
  const restart = async (): Promise<void> => {
    server = await compiled.start({ data: directory, listen: endpoint })
  }
  return {
    open: () => new EmbeddedStore({ endpoint }),
    outage: { begin: () => server.kill(), end: restart },
    async compact(client) {
      for (let lot = 0; lot < 13; lot += 1)
        await Promise.all(Array.from({ length: 1000 }, () => client.transact({ compare: [], put: [{ key: '/filler', value: '0' }], delete: [] })))
    },
    disturbances: {
      'the server is killed and started again': async (progress) => {
        for (let round = 0; round < 4; round += 1) {
          await server.kill()
          await restart()
          await progress()
        }
      },
      'the server is frozen and goes on': async (progress) => {
        for (let round = 0; round < 2; round += 1) {
          server.child.kill('SIGSTOP')
          const probe = new EmbeddedStore({ endpoint })
          await eventually(async () => {
            const failure: unknown = await probe.get('/').catch((error: unknown) => error)
            if (failure === null) throw new Error('not frozen yet')
          })
          await probe.close()
          server.child.kill('SIGCONT')
          await progress()
        }
      },
    },
    async stop() {
      await server.kill()
      compiled.remove()
      rmSync(directory, { recursive: true })
    },
  }
}

storeConformance('embedded, in this process', inProcess, ['the server is closed and opened again'])
storeConformance('embedded, in a process of its own', ownProcess, ['the server is killed and started again', 'the server is frozen and goes on'])
