import type { Command } from 'commander'

export interface FailoverOptions {
  readonly failoverThreshold?: string
  readonly failoverPeriod?: string
}

/** How often a group may fail over by itself before it is left failed. */
export const withFailoverOptions = (command: Command): Command =>
  command
    .option('--failover-threshold <count>', 'failovers by fault allowed within the period, 1 to 100 (default 10)')
    .option('--failover-period <seconds>', 'the period (default 21600: six hours)')

export const failoverPolicy = (options: FailoverOptions): { failoverThreshold?: number; failoverPeriodMs?: number } => ({
  ...(options.failoverThreshold === undefined ? {} : { failoverThreshold: Number(options.failoverThreshold) }),
  ...(options.failoverPeriod === undefined ? {} : { failoverPeriodMs: Number(options.failoverPeriod) * 1000 }),
})
