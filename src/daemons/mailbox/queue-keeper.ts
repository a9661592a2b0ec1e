import { type QueueAdmin, unknownMessage } from '../../admin/queue-api.ts'
import { HandoffError } from '../../errors.ts'
import { change, entries } from '../../queue/queue-store.ts'
import type { MailDatabase } from './mail-database.ts'

/** The queues of the databases that this node has mounted, for the admin API. `changed`: something may be due now. */
export function queueKeeper(databases: () => readonly MailDatabase[], changed: (database: string) => void): QueueAdmin {
  const chosen = (name: string | undefined): readonly MailDatabase[] => {
    const all = databases()
    const found = name === undefined ? all : all.filter((database) => database.name === name)
    if (name !== undefined && found.length === 0) throw new HandoffError('DATABASE_UNKNOWN', `there is no database "${name}" here`)
    return found
  }
  const listQueue: QueueAdmin['listQueue'] = async ({ database, id }) => {
    const lists = await Promise.all(chosen(database).map(async ({ mount, name }) => (await entries(mount, id)).map((entry) => ({ ...entry, database: name }))))
    return lists.flat()
  }
  return {
    listQueue,
    async changeQueue(how, { database, id }) {
      const names = [...new Set((await listQueue({ database, id })).map((entry) => entry.database))]
      const [name] = names
      if (name === undefined) throw unknownMessage(id)
      if (names.length > 1)
        throw new HandoffError('REQUEST_INVALID', `there is a message ${id} in each of ${names.join(', ')}`, { remedy: 'Name one with --database.' })
      const [target] = chosen(name)
      const count = target ? await change(target.mount, id, how) : 0
      changed(name)
      return count
    },
  }
}
