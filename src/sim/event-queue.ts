/** Simulated time: a binary heap of callbacks, ordered by time and, within one time, by the order they were asked for. */
export class EventQueue {
  /** True time in ms. No simulated process can see it; each has a clock of its own. */
  now = 0
  processed = 0
  private readonly times: number[] = []
  private readonly orders: number[] = []
  private readonly tasks: (() => void)[] = []
  private order = 0

  at(time: number, task: () => void): void {
    const { times, orders, tasks } = this
    const when = time < this.now ? this.now : time
    const order = ++this.order
    let index = times.length
    times.push(when)
    orders.push(order)
    tasks.push(task)
    while (index > 0) {
      const parent = (index - 1) >> 1
      if ((times[parent] as number) <= when) break
      times[index] = times[parent] as number
      orders[index] = orders[parent] as number
      tasks[index] = tasks[parent] as () => void
      index = parent
    }
    times[index] = when
    orders[index] = order
    tasks[index] = task
  }

  after(delay: number, task: () => void): void {
    this.at(this.now + delay, task)
  }

  /** Runs the next event. False when there is none before `limit`. */
  step(limit: number): boolean {
    const first = this.times[0]
    if (first === undefined || first > limit) return false
    const task = this.tasks[0] as () => void
    this.removeFirst()
    this.now = first
    this.processed++
    task()
    return true
  }

  private removeFirst(): void {
    const { times, orders, tasks } = this
    const time = times.pop() as number
    const order = orders.pop() as number
    const task = tasks.pop() as () => void
    const size = times.length
    if (size === 0) return
    let index = 0
    for (;;) {
      let child = 2 * index + 1
      if (child >= size) break
      const right = child + 1
      if (right < size && this.before(right, child)) child = right
      const childTime = times[child] as number
      if (childTime > time || (childTime === time && (orders[child] as number) > order)) break
      times[index] = childTime
      orders[index] = orders[child] as number
      tasks[index] = tasks[child] as () => void
      index = child
    }
    times[index] = time
    orders[index] = order
    tasks[index] = task
  }

  private before(left: number, right: number): boolean {
    const difference = (this.times[left] as number) - (this.times[right] as number)
    return difference < 0 || (difference === 0 && (this.orders[left] as number) < (this.orders[right] as number))
  }
}
