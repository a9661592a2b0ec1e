import { type OwnershipRecord, recentFailovers } from './ownership.ts'
import type { GroupView, View } from './view.ts'

/** May the group still fail over by itself, or has it done so too often within its policy's period? Counted in the record, so that every node agrees. */
export const mayFailOver = (view: View, group: GroupView, record: OwnershipRecord): boolean =>
  recentFailovers(record, group.config, view.wallMs) < group.config.failover.threshold
