import type { NodeConfig, NodeId } from '../cluster/node.ts'
import type { GroupConfig, GroupId } from '../groups/group.ts'
import type { OperatorRequest, OwnershipRecord } from '../groups/ownership.ts'
import type { Input } from './ports.ts'

interface Versioned<T> {
  readonly value: T
  readonly revision: bigint
}

/** What this node knows of the cluster database. Never goes back: an older revision of a key is ignored, whichever way it comes. */
export class StoreImage {
  readonly nodes = new Map<NodeId, NodeConfig>()
  readonly sessions = new Set<NodeId>()
  readonly groups = new Map<GroupId, GroupConfig>()
  readonly owners = new Map<GroupId, Versioned<OwnershipRecord>>()
  readonly requests = new Map<GroupId, Versioned<OperatorRequest>>()
  private readonly revisions = new Map<string, bigint>()

  apply(input: Extract<Input, { kind: 'store' }>): void {
    if (input.reset) {
      const present = new Set(input.puts.map((put) => put.key))
      for (const key of [...this.revisions.keys()]) if (!present.has(key)) this.remove(key)
    }
    for (const put of input.puts) this.put(put.key, put.value, put.modRevision)
    for (const gone of input.deletes) {
      if ((this.revisions.get(gone.key) ?? 0n) > gone.modRevision) continue
      this.remove(gone.key)
      this.revisions.set(gone.key, gone.modRevision)
    }
  }

  put(key: string, value: string, revision: bigint): void {
    if ((this.revisions.get(key) ?? 0n) >= revision) return
    this.revisions.set(key, revision)
    const [kind, name] = split(key)
    switch (kind) {
      case 'nodes':
        this.nodes.set(name as NodeId, JSON.parse(value) as NodeConfig)
        break
      case 'sessions':
        this.sessions.add(name as NodeId)
        break
      case 'groups':
        this.groups.set(name as GroupId, JSON.parse(value) as GroupConfig)
        break
      case 'owners':
        this.owners.set(name as GroupId, { value: JSON.parse(value) as OwnershipRecord, revision })
        break
      case 'requests':
        this.requests.set(name as GroupId, { value: JSON.parse(value) as OperatorRequest, revision })
        break
    }
  }

  private remove(key: string): void {
    const [kind, name] = split(key)
    this.revisions.delete(key)
    if (kind === 'nodes') this.nodes.delete(name as NodeId)
    else if (kind === 'sessions') this.sessions.delete(name as NodeId)
    else if (kind === 'groups') this.groups.delete(name as GroupId)
    else if (kind === 'owners') this.owners.delete(name as GroupId)
    else if (kind === 'requests') this.requests.delete(name as GroupId)
  }
}

function split(key: string): [kind: string, name: string] {
  const slash = key.indexOf('/')
  return slash < 0 ? [key, ''] : [key.slice(0, slash), key.slice(slash + 1)]
}
