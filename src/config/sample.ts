/** The commented example that `handoffd --sample-config` prints. A test reads it back through the schema. */
export const sampleConfig = `# Configuration of one Handoff node. Copy it to every node and change what differs: node, role, addresses.
cluster: example
node: node1
role: data                  # data: may own groups; witness: votes and listens only
dataDirectory: /var/lib/handoff
secretFile: /etc/handoff/secret   # the same on every node; made by: handoff cluster secret --write FILE

networks:                   # heartbeats go over each of them
  - name: private
    role: private           # replication runs here
    address: 10.78.0.11
  - name: public
    role: public            # virtual addresses are claimed here
    address: 10.77.0.11
    interface: eth0

heartbeat:
  port: 7946
  intervalMs: 100
  threshold: 5

store:
  kind: etcd
  managed: true             # handoffd runs this node's etcd member
  endpoints: [http://10.78.0.11:2379, http://10.78.0.12:2379, http://10.78.0.13:2379]   # this node's first
  members:
    - { name: node1, peerUrl: http://10.78.0.11:2380, clientUrl: http://10.78.0.11:2379 }
    - { name: node2, peerUrl: http://10.78.0.12:2380, clientUrl: http://10.78.0.12:2379 }
    - { name: witness, peerUrl: http://10.78.0.13:2380, clientUrl: http://10.78.0.13:2379 }

postgres:
  binDirectory: /usr/lib/postgresql/15/bin
  clientNetworks: [10.77.0.0/24]   # plain SQL clients; leave out for mail only

mailbox:
  enabled: true
  workers: 2
`
