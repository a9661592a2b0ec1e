import { Socket } from 'node:net'
import pg from 'pg'
import type { MountTarget, Queries, QueryResult } from './target.ts'
import { UnconfirmedCommit, WrongInstance } from './transient.ts'

const connectTimeoutMs = 2000
const int8 = 20

/**
 * What the promise stands on, against whatever is set for role or database: every commit waits for the standbys, no timeout cuts that wait
 * short, and a warning that it was cut short reaches us. (JIT: our statements are small, compiling them costs more than they do.)
 */
const sessionSettings = { synchronous_commit: 'on', statement_timeout: '0', lock_timeout: '0', client_min_messages: 'warning', jit: 'off' } as const
const options = Object.entries(sessionSettings)
  .map(([name, value]) => `-c ${name}=${value}`)
  .join(' ')

/** int8 as a number: UIDs, mod-sequences and sizes stay below 2^53. */
const types: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: 'text') => (oid === int8 ? Number : pg.types.getTypeParser(oid, format))) as typeof pg.types.getTypeParser,
}

/** One connection to one instance, checked to be the one that is meant. */
export class Session implements Queries {
  readonly #client: pg.Client
  readonly #socket: Socket
  readonly #epoch: number
  #unconfirmed = false
  #ended = false
  onEnd: () => void = () => {}

  private constructor(client: pg.Client, socket: Socket, epoch: number) {
    this.#client = client
    this.#socket = socket
    this.#epoch = epoch
    client.on('error', () => {})
    client.on('notice', (notice) => {
      // By the routine, because the text is in the server's language: raised when a wait for the standbys is cancelled.
      if (notice.routine === 'SyncRepWaitForLSN') this.#unconfirmed = true
    })
    client.once('end', () => {
      this.#ended = true
      this.onEnd()
    })
  }

  get ended(): boolean {
    return this.#ended
  }

  /** @param register is given the way to break the attempt off, at once */
  static async connect(target: MountTarget, register: (destroy: () => void) => void): Promise<Session> {
    const socket = new Socket()
    const { host, port, user, password, database } = target
    const config: pg.ClientConfig = { host, port, user, database, stream: () => socket, types, keepAlive: true, options, application_name: 'handoff-mailbox' }
    const client = new pg.Client({ ...config, ...(password === undefined ? {} : { password }), connectionTimeoutMillis: connectTimeoutMs })
    const session = new Session(client, socket, target.epoch)
    register(() => socket.destroy())
    try {
      await client.connect()
      await session.#check()
      return session
    } catch (error) {
      session.destroy()
      throw error
    }
  }

  async query<R extends object>(text: string, values?: readonly unknown[], name?: string): Promise<QueryResult<R>> {
    const result = await this.#client.query<R & pg.QueryResultRow>({
      text,
      ...(values ? { values: [...values] } : {}),
      ...(name === undefined ? {} : { name }),
    })
    return { rows: result.rows, rowCount: result.rowCount ?? 0 }
  }

  /** Begins a transaction and checks the epoch, in one round trip. */
  async begin(mode: 'read write' | 'isolation level repeatable read read only'): Promise<void> {
    const results = (await this.#client.query(`begin ${mode}; select current_setting('handoff.epoch', true) as epoch`)) as unknown as pg.QueryResult[]
    this.#compareEpoch(String(results[1]?.rows[0]?.epoch ?? ''))
  }

  /** Records the operation and commits, in one round trip. A commit that was let go unconfirmed is not taken for one. */
  async recordAndCommit(key: string, result: string): Promise<void> {
    const values = `${pg.escapeLiteral(key)}, ${pg.escapeLiteral(result)}`
    this.#unconfirmed = false
    await this.#client.query(`insert into handoff.operation (key, result) values (${values}); commit`)
    this.requireConfirmed()
  }

  /** @throws UnconfirmedCommit when the server said so during the statements since the last call */
  requireConfirmed(): void {
    const unconfirmed = this.#unconfirmed
    this.#unconfirmed = false
    if (unconfirmed) throw new UnconfirmedCommit()
  }

  /** Closes without a word. The server carries on with what it was told: a commit in flight is not cancelled. */
  destroy(): void {
    this.#ended = true
    this.#socket.destroy()
  }

  async #check(): Promise<void> {
    const { rows } = await this.query<{ standby: boolean; epoch: string | null }>(
      "select pg_is_in_recovery() as standby, current_setting('handoff.epoch', true) as epoch",
    )
    if (rows[0]?.standby) throw new WrongInstance('the instance is a standby')
    this.#compareEpoch(rows[0]?.epoch ?? '')
  }

  #compareEpoch(found: string): void {
    if (this.#epoch !== 0 && Number(found === '' ? Number.NaN : found) !== this.#epoch)
      throw new WrongInstance(`the instance has epoch "${found}", wanted ${this.#epoch}`)
  }
}
