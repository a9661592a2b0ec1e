import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePort, until } from '../../src/postgres/fixture.ts'

const run = promisify(execFile)

/** A real Postfix on a port of its own: takes mail for `peer.example`, and sends what is for `example.org` to Handoff. */
export interface Postfix {
  readonly port: number
  /** What has been delivered to a mailbox of `peer.example`. */
  delivered(user: string): Promise<Buffer[]>
  /** Gives Postfix a message for others, as a program on its machine does. */
  submit(from: string, to: string, content: string): Promise<void>
  log(): Promise<string>
  stop(): Promise<void>
}

const services = (port: number): string => `127.0.0.1:${port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`

const settings = (directory: string, handoffPort: number, ids: { readonly uid: string; readonly gid: string }): string => `compatibility_level = 3.6
queue_directory = ${directory}/queue
data_directory = ${directory}/data
maillog_file = ${directory}/log
maillog_file_prefixes = ${directory}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.peer.example
mydestination =
mynetworks = 127.0.0.0/8
virtual_mailbox_domains = peer.example
virtual_mailbox_base = ${directory}/mail
virtual_mailbox_maps = inline:{ ann@peer.example=ann/ bob@peer.example=bob/ }
virtual_uid_maps = static:${ids.uid}
virtual_gid_maps = static:${ids.gid}
virtual_minimum_uid = 1
transport_maps = inline:{ example.org=smtp:[127.0.0.1]:${handoffPort} }
smtpd_tls_security_level = may
smtpd_tls_chain_files = ${directory}/tls.pem
smtp_tls_security_level = may
`

export async function startPostfix(handoffPort: number): Promise<Postfix> {
  const directory = await mkdtemp(join(tmpdir(), 'handoff-postfix-'))
  await chmod(directory, 0o755)
  const [uid, gid] = await Promise.all(['-u', '-g'].map(async (flag) => (await run('id', [flag, 'postfix'])).stdout.trim()))
  for (const name of ['conf', 'queue', 'data', 'mail']) await mkdir(join(directory, name))
  await run('chown', [`${uid}:${gid}`, join(directory, 'data'), join(directory, 'mail')])
  const port = await freePort()
  const tls = join(directory, 'tls.pem')
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=mx.peer.example']
  await run('openssl', ['req', '-x509', ...curve, '-keyout', `${tls}.key`, '-out', `${tls}.crt`])
  await writeFile(tls, (await readFile(`${tls}.key`, 'utf8')) + (await readFile(`${tls}.crt`, 'utf8')), { mode: 0o600 })
  await writeFile(join(directory, 'conf/main.cf'), settings(directory, handoffPort, { uid: uid ?? '', gid: gid ?? '' }))
  await writeFile(join(directory, 'conf/master.cf'), services(port))
  const configuration = ['-c', join(directory, 'conf')]
  const log = () => readFile(join(directory, 'log'), 'utf8').catch(() => '')
  const postfix: Postfix = {
    port,
    async delivered(user) {
      const folder = join(directory, 'mail', user, 'new')
      const names = await readdir(folder).catch(() => [])
      return Promise.all(names.map((name) => readFile(join(folder, name))))
    },
    async submit(from, to, content) {
      const child = run('/usr/sbin/sendmail', [`-C${join(directory, 'conf')}`, '-i', '-f', from, to])
      child.child.stdin?.end(content)
      await child
    },
    log,
    async stop() {
      await run('postfix', [...configuration, 'stop']).catch(() => undefined)
      await rm(directory, { recursive: true, force: true })
    },
  }
  try {
    await run('postfix', [...configuration, 'start'])
    await until(async () => (await log()).includes('daemon started'), 20_000, 'Postfix')
  } catch (error) {
    await postfix.stop()
    throw error
  }
  return postfix
}
