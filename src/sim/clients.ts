import type { GroupId } from '../groups/group.ts'
import type { SimInstance, Write } from './instance.ts'
import type { SimNode } from './node.ts'
import type { Random } from './random.ts'
import type { World } from './world.ts'

const connectMs = 20
const giveUpMs = 2500

/**
 * Writes and reads through whichever active copy it can reach: one that sits on a node (and shares its fate when that node is
 * cut off), or one outside that tries each node in turn.
 */
export class SimClient {
  private readonly world: World
  private readonly group: GroupId
  private readonly home: SimNode | null
  private readonly candidates: readonly SimNode[]
  private readonly random: Random
  private current = 0
  private attempt = 0
  private readonly thinkMs: number

  constructor(world: World, group: GroupId, home: SimNode | null, random: Random) {
    this.world = world
    this.group = group
    this.home = home
    this.random = random
    this.candidates = home === null ? world.dataNodes(group) : [home]
    this.thinkMs = random.between(15, 90)
    this.next(random.between(200, 500))
  }

  private next(delay: number): void {
    this.world.queue.after(delay, () => this.try())
  }

  private try(): void {
    const node = this.candidates[this.current % this.candidates.length] as SimNode
    const instance = this.world.instance(node.id, this.group)
    const attempt = ++this.attempt
    if (instance === undefined || !this.reaches(node)) return this.elsewhere()
    node.after('postgres', 0.2, () => this.connected(instance, attempt))
    this.world.queue.after(giveUpMs, () => {
      if (this.attempt === attempt) this.elsewhere()
    })
  }

  private reaches(node: SimNode): boolean {
    return node.up && (this.home === node || this.world.publicCuts(node) === 0)
  }

  private elsewhere(): void {
    this.attempt++
    this.current++
    this.next(this.random.between(5, connectMs) * this.candidates.length)
  }

  private connected(instance: SimInstance, attempt: number): void {
    if (this.attempt !== attempt) return
    if (!instance.serving) return this.elsewhere()
    if (this.random.chance(0.4)) this.world.read(instance)
    const write: Write = {
      id: this.world.nextWrite(),
      insertedAt: this.world.queue.now,
      epoch: instance.epoch,
      acknowledged: false,
      shown: false,
      answer: (ok) => {
        if (this.attempt !== attempt) return
        this.attempt++
        if (ok) this.next(this.thinkMs * (0.5 + this.random.next()))
        else this.elsewhere()
      },
    }
    this.world.written++
    instance.insert(write)
  }
}
