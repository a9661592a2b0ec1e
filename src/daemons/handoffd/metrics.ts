import type { View } from '../../groups/view.ts'

/** What `/metrics` shows, in Prometheus' text format 0.0.4. */
export function metricsText(view: View): string {
  const owned = view.groups.flatMap(({ config, record }) => (record === null ? [] : [{ name: config.name, record }]))
  return [
    '# HELP handoff_group_epoch Epoch of the ownership record.',
    '# TYPE handoff_group_epoch gauge',
    ...owned.map(({ name, record }) => `handoff_group_epoch{group="${name}",owner="${record.owner}"} ${record.epoch}`),
    '# HELP handoff_group_in_sync Members of the in-sync set.',
    '# TYPE handoff_group_in_sync gauge',
    ...owned.map(({ name, record }) => `handoff_group_in_sync{group="${name}"} ${record.inSync.length}`),
    '',
  ].join('\n')
}
