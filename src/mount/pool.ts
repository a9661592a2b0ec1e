import { Session } from './session.ts'
import type { MountTarget } from './target.ts'
import { Moved } from './transient.ts'

interface Waiter {
  resolve(session: Session): void
  reject(error: unknown): void
}

/** The connections to one place in one epoch. It never moves: when the database does, it is retired and a new one made. */
export class Pool {
  readonly target: MountTarget
  readonly #size: number
  readonly #idle: Session[] = []
  /** Ways to break off every connection, made or in the making. */
  readonly #all = new Map<object, () => void>()
  readonly #waiting: Waiter[] = []
  #count = 0
  #retired = false

  constructor(target: MountTarget, size: number) {
    this.target = target
    this.#size = size
  }

  get retired(): boolean {
    return this.#retired
  }

  acquire(): Promise<Session> {
    if (this.#retired) return Promise.reject(new Moved())
    const session = this.#idle.pop()
    if (session) return Promise.resolve(session)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      this.#connectIfWanted()
    })
  }

  release(session: Session): void {
    if (session.ended || this.#retired) return this.discard(session)
    const waiter = this.#waiting.shift()
    // The last one used first: caches are warm, and spare ones can grow old.
    if (waiter) waiter.resolve(session)
    else this.#idle.push(session)
  }

  discard(session: Session): void {
    session.destroy()
    this.#forget(session)
  }

  /** Breaks everything off at once; whoever uses a connection finds its outcome unknown and resolves it elsewhere. */
  retire(): void {
    this.#retired = true
    for (const waiter of this.#waiting.splice(0)) waiter.reject(new Moved())
    for (const destroy of [...this.#all.values()]) destroy()
    this.#all.clear()
    this.#idle.length = 0
  }

  #connectIfWanted(): void {
    if (this.#count >= this.#size || this.#waiting.length === 0 || this.#retired) return
    this.#count++
    const token = {}
    Session.connect(this.target, (destroy) => this.#all.set(token, destroy)).then(
      (session) => {
        this.#all.delete(token)
        this.#all.set(session, () => session.destroy())
        session.onEnd = () => this.#forget(session)
        this.release(session)
      },
      (error: unknown) => {
        this.#all.delete(token)
        this.#count--
        this.#waiting.shift()?.reject(error)
        this.#connectIfWanted()
      },
    )
  }

  #forget(session: Session): void {
    const at = this.#idle.indexOf(session)
    if (at >= 0) this.#idle.splice(at, 1)
    if (!this.#all.delete(session)) return
    this.#count--
    this.#connectIfWanted()
  }
}
