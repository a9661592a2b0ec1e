#!/bin/bash
# Handoff for a rig that compares failover managers: called as `handoff.sh VERB [ARGS]` with RIG (the rig's directory, whose lib.sh
# makes the hosts n1, n2, w1 and cl), INST and CONFIG in the environment. Link it into the rig's drivers/ to measure Handoff and its
# peers in one run. Needs a build (npm run build).
set -u
here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
repo=$(cd "$here/../.." && pwd)
node=$(readlink -f "$(command -v node)")
. "${RIG:?the directory of the rig}/lib.sh"

group=sg1
handoff() { local host=$1; shift; node_root "$host" "$node" "$repo/bin/handoff" --config /mnt/handoff.yaml "$@"; }
start_daemon() { node_daemon "$1" root /mnt/handoffd.log "$node" "$repo/bin/handoffd" --config /mnt/handoff.yaml; }

# The API's answer on a host's socket, which is a file that this machine sees too.
status() { curl -fs -m 2 --unix-socket "$BASE/$1/data/handoff/handoffd.sock" http://handoffd/api/v1/cluster; }

config() {
  local n=$1 role=data m
  [ "$n" = w1 ] && role=witness
  cat <<Y
cluster: rig
node: $n
role: $role
dataDirectory: /mnt/handoff
secretFile: /mnt/secret
networks:
  - { name: mixed, role: mixed, address: $(ip_of "$n"), interface: eth0 }
store:
  kind: etcd
  managed: true
  endpoints: [$(for m in $n $(for o in $NODES; do [ "$o" = "$n" ] || echo "$o"; done); do printf 'http://%s:2379, ' "$(ip_of "$m")"; done | sed 's/, $//')]
  members:
$(for m in $NODES; do echo "    - { name: $m, peerUrl: 'http://$(ip_of "$m"):2380', clientUrl: 'http://$(ip_of "$m"):2379' }"; done)
postgres:
  clientNetworks: [10.77.0.0/24]
  clientMethod: trust
mailbox:
  enabled: false
Y
}

# One line, ok, when this host sees every node up and both copies in sync.
check='
let text = ""
process.stdin.on("data", (chunk) => (text += chunk)).on("end", () => {
  const { storeReachable, nodes, groups, copies } = JSON.parse(text)
  const fine =
    storeReachable && nodes.length === 3 && nodes.every((n) => n.state === "up") &&
    groups.length === 1 && groups.every((g) => g.state === "online" && g.inSync.length === 2) && copies.every((c) => ["Active", "Healthy"].includes(c.status))
  process.exit(fine ? 0 : 1)
})'

case ${1:-} in
  setup)
    net_up
    for n in $NODES; do
      node_down "$n"
      rm -rf "${BASE:?}/$n"
      mkdir -p "$BASE/$n/data/log"
      config "$n" > "$BASE/$n/data/handoff.yaml"
      # where the runner looks for a peer's data directory and server log
      ln -s handoff/copies/$group/data "$BASE/$n/data/pg"
      ln -s ../handoff/copies/$group/log/postgresql.log "$BASE/$n/data/log/postgresql.log"
    done
    openssl rand -hex 32 > "$BASE/n1/data/secret"
    chmod 600 "$BASE/n1/data/secret"
    for n in n2 w1; do cp -p "$BASE/n1/data/secret" "$BASE/$n/data/secret"; done
    ;;
  start)
    for n in $NODES; do node_up "$n" && start_daemon "$n"; done
    for _ in $(seq 300); do handoff n1 cluster create --name rig >/dev/null 2>&1 && break; sleep 0.2; done
    for _ in $(seq 300); do [ "$(status n1 | "$node" -e 'let t="";process.stdin.on("data",c=>t+=c).on("end",()=>console.log(JSON.parse(t).nodes.filter(n=>n.state==="up").length))')" = 3 ] && break; sleep 0.2; done
    handoff n1 storage-group create $group --nodes n1,n2 --address "$VIP" --failover-threshold 100 || exit 1
    password=$("$node" -e 'console.log(require("crypto").createHmac("sha256", require("fs").readFileSync(process.argv[1], "utf8").trim()).update("postgres handoff").digest("hex"))' "$BASE/n1/data/secret")
    node_root n1 env PGPASSWORD="$password" psql -h /mnt/handoff/copies/$group/socket -U handoff -d postgres -XAtqc 'create role postgres login superuser' || exit 1
    "$0" wait_healthy 120 && mk_table "$VIP"
    ;;
  healthy)
    for n in $NODES; do status "$n" | "$node" -e "$check" 2>/dev/null || exit 1; done
    ;;
  wait_healthy)
    end=$((SECONDS + ${2:-120}))
    while [ $SECONDS -lt $end ]; do "$0" healthy && exit 0; sleep 0.2; done
    exit 1
    ;;
  primary_of)
    for n in n1 n2; do [ "$(sql "$(ip_of "$n")" 'select pg_is_in_recovery()' 2>/dev/null)" = f ] && { echo "$n"; exit 0; }; done
    exit 1
    ;;
  switchover)
    p=$("$0" primary_of) || exit 1
    handoff w1 group move $group --to "$(other "$p")"
    ;;
  conninfo_for_client)
    echo "vip $VIP 5432 postgres postgres"
    # as the peers that have no virtual address are measured
    echo "multihost 10.77.0.11,10.77.0.12 5432 postgres postgres"
    ;;
  boot) node_up "$2" && start_daemon "$2" ;;
  repair) ;; # the former active copy comes back by itself
  notes)
    for n in $NODES; do
      ip netns exec "$PFX-cl" curl -fs -m 2 "http://$(ip_of "$n"):2379/metrics" | grep -q '^etcd_server_is_leader 1' && echo "etcd_leader=$n"
    done
    ;;
  agentlog) echo "$BASE/$2/data/handoffd.log" ;;
  stop)
    for n in $NODES; do node_down "$n"; done
    net_down
    ;;
  *)
    echo "handoff.sh: unknown verb '${1:-}'" >&2
    exit 2
    ;;
esac
