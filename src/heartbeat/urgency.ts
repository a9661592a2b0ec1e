import type { Heartbeat, HeartbeatPayload } from '../cluster/liveness.ts'

/** What of a payload must not wait for the next interval, as a text to compare: everything but how far the log has come. */
export function urgentPayload(payload: HeartbeatPayload | null): string {
  if (payload === null) return ''
  const copies = payload.copies.map((copy) => [copy.group, copy.epochSeen, copy.state, copy.streaming, copy.upstream, copy.ready])
  // A promise is given anew for every heartbeat that asks; only the first one is news.
  const promises = payload.promises.map((promise) => [promise.group, promise.epoch, promise.to])
  return JSON.stringify([copies, payload.asks, promises, payload.serving])
}

/** The same for what a peer says: judgement and releases count too. */
export const urgentHeartbeat = (heartbeat: Heartbeat): string =>
  `${heartbeat.silent.join()} ${JSON.stringify(heartbeat.released)} ${urgentPayload(heartbeat.payload)}`
