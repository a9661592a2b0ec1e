import type { ServiceAction } from '../../groups/action.ts'
import type { Outcome } from '../../supervisor/ports.ts'

/** The servers that this node serves now, as told to the mailbox service. */
export class Services {
  /** Server groups whose listeners are to be open here, with the epoch. */
  readonly serving = new Map<string, number>()
  private readonly changed: () => void

  constructor(changed: () => void) {
    this.changed = changed
  }

  /** The mailbox service is gone: the next one opens nothing before it is told anew. */
  forget(group: string): void {
    this.serving.delete(group)
  }

  /** Done when the mailbox service has been told: it opens its prepared listeners within milliseconds, and closes them politely by itself. */
  async perform(action: ServiceAction): Promise<Outcome> {
    if (action.kind === 'serve') this.serving.set(action.group, action.epoch)
    else this.serving.delete(action.group)
    this.changed()
    return { ok: true, service: action.kind === 'serve' ? { kind: 'serving', epoch: action.epoch } : { kind: 'warm' } }
  }
}
