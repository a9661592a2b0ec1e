/** Milliseconds of CLOCK_MONOTONIC: the same clock in every process of the machine, never set, running through suspend of a process. */
export const monotonicMs = (): number => Number(process.hrtime.bigint() / 1000n) / 1000
