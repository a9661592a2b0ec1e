import { closeSync, openSync, writeSync } from 'node:fs'

/**
 * Feeds a watchdog device: when this process does not run for the device's timeout, the machine restarts itself
 * (Linux kernel documentation, "The Linux Watchdog driver API"). Cannot be tried where there is no such device.
 */
export class Watchdog {
  private readonly descriptor: number
  private readonly timer: NodeJS.Timeout

  /** @param mayFeed false while a deadline has passed and what it guards still runs: then a restart is wanted */
  constructor(options: { readonly device: string; readonly feedEveryMs: number }, mayFeed: () => boolean) {
    this.descriptor = openSync(options.device, 'w')
    const feed = (): void => {
      if (mayFeed()) writeSync(this.descriptor, '\0')
    }
    feed()
    this.timer = setInterval(feed, options.feedEveryMs)
  }

  /** Orderly end: the "magic close" tells the driver that this is no crash. */
  disarm(): void {
    clearInterval(this.timer)
    writeSync(this.descriptor, 'V')
    closeSync(this.descriptor)
  }
}
