import pg from 'pg'
import { HandoffError } from '../errors.ts'
import { type CopySettings, replicatorRole, type Upstream } from './settings.ts'

/** An ordinary session of the replication role with another node's copy, closed afterwards. */
export async function withUpstream<T>(
  settings: CopySettings,
  upstream: Upstream,
  signal: AbortSignal,
  run: (client: pg.Client) => Promise<T>,
  replication = false,
): Promise<T> {
  signal.throwIfAborted()
  const config: pg.ClientConfig & { replication?: string } = {
    host: upstream.host,
    port: upstream.port,
    user: replicatorRole,
    password: settings.replicatorPassword,
    database: 'postgres',
    application_name: `rejoin ${settings.node}`,
    connectionTimeoutMillis: 3000,
    query_timeout: 10_000,
    ...(replication ? { replication: 'database' } : {}),
  }
  const client = new pg.Client(config)
  client.on('error', () => {})
  const abort = (): void => (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy()
  signal.addEventListener('abort', abort, { once: true })
  try {
    await client.connect().catch((cause: unknown) => {
      throw new HandoffError(
        'POSTGRES_UPSTREAM_UNREACHABLE',
        `cannot log in to the copy of ${settings.group} on ${upstream.node} (${upstream.host} port ${upstream.port}): ${(cause as Error).message}`,
        { cause },
      )
    })
    return await run(client)
  } finally {
    signal.removeEventListener('abort', abort)
    await Promise.race([client.end().catch(() => {}), new Promise((resolve) => setTimeout(resolve, 200).unref())])
  }
}
