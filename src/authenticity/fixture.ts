import { spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { Resolver } from 'node:dns/promises'

/** A real name server (dnsmasq) on a free port of the loopback interface, that has these TXT records (without commas), and nothing else. */
export async function startNameServer(records: Readonly<Record<string, string>>) {
  const port = await freePort()
  const txt = Object.entries(records).map(([name, text]) => `--txt-record=${name},${text.match(/.{1,250}/g)?.join(',')}`)
  const server = spawn(
    'dnsmasq',
    [
      '--keep-in-foreground',
      '--conf-file=/dev/null',
      '--no-resolv',
      '--no-hosts',
      '--local=/#/',
      '--listen-address=127.0.0.1',
      '--bind-interfaces',
      `--port=${port}`,
      '--pid-file=',
      '--user=root',
      ...txt,
    ],
    { stdio: 'ignore', env: { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin` } },
  )
  const resolver = new Resolver({ timeout: 250, tries: 4 })
  resolver.setServers([`127.0.0.1:${port}`])
  for (let answered = false; !answered; ) {
    if (server.exitCode !== null) throw new Error(`dnsmasq ended with ${server.exitCode}`)
    answered = await resolver.resolve('x.invalid', 'TXT').then(
      () => true,
      ({ code }: { readonly code?: string }) => code === 'ENOTFOUND' || code === 'ENODATA',
    )
  }
  return {
    resolver,
    port,
    async stop() {
      server.kill()
      if (server.exitCode === null && server.signalCode === null) await once(server, 'exit')
    },
  }
}

async function freePort(): Promise<number> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const { port } = socket.address()
  socket.close()
  return port
}
