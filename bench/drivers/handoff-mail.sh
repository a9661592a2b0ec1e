#!/bin/bash
# Handoff for a rig that compares mail servers: called as `handoff.sh VARIANT VERB [ARGS]`. Link it into the rig's drivers/ as
# handoff.sh, beside its lib.sh, to measure Handoff and its peers in one run. Needs a build (npm run build).
# Variants: one (a single copy); repl (two copies, each commit flushed on both before the reply). +workers1, +workers4: worker processes.
NAME=handoff; . "$(dirname "$0")/lib.sh"
repo=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.." && pwd)
node=$(readlink -f "$(command -v node)")
W_HOST=127.0.0.4; VIRTUAL=127.0.0.10; PG_PORT=10432
address() { case $1 in A) echo $A_HOST ;; B) echo $B_HOST ;; W) echo $W_HOST ;; esac; }
members() { if [ "$(sides)" = A ]; then echo A; else echo A B W; fi; }
# One copy needs no vote: its node keeps the store itself.
store_at() { if [ "$(sides)" = A ]; then echo A; else echo W; fi; }
names() { echo "$(sides)" | tr ' ABW' ',abw'; }
handoff() { "$node" "$repo/bin/handoff" --config "$STATE/A/handoff.yaml" "$@"; }
retried() { local until=$((SECONDS + 60)); while [ $SECONDS -lt $until ]; do "$@" >"$STATE/last" 2>&1 && return 0; sleep 0.1; done; cat "$STATE/last" >&2; return 1; }
workers() { if has workers1; then echo 1; elif has workers4; then echo 4; else echo 2; fi; }
conf() {
  local s=$1 role=data
  [ "$s" = W ] && role=witness
  cat <<Y
cluster: rig
node: ${s,,}
role: $role
dataDirectory: $STATE/$s/data
secretFile: $STATE/secret
networks:
  - { name: loopback, role: mixed, address: $(address "$s") }
store: { kind: embedded, endpoint: "$(address "$(store_at)"):10801", serve: $([ "$s" = "$(store_at)" ] && echo true || echo false) }
postgres: { listen: ["$(address "$s")"] }
mailbox: { workers: $(workers), clearTextLogin: allowed, loginDomain: $DOMAIN }
Y
}
created() { [ -e "$STATE/created" ]; }
create() {
  retried handoff cluster create --name rig
  retried handoff storage-group create sg1 --nodes "$(names)" --port $PG_PORT
  retried handoff database create mail --storage-group sg1
  retried handoff server create mail1 --nodes "$(names)" --address $VIRTUAL --database mail --port imap=$IMAP_PORT lmtp=$LMTP_PORT
  touch "$STATE/created"
}
# The store of every copy, and the set that a takeover may use, are whole.
settled() { handoff cluster status --json 2>/dev/null | "$node" -e '
  let t = ""; process.stdin.on("data", (c) => (t += c)).on("end", () => {
    const { groups, copies } = JSON.parse(t)
    const whole = groups.length === 2 && groups.every((g) => g.state === "online" && g.inSync.length === +process.argv[1]) && copies.every((c) => ["Active", "Healthy"].includes(c.status))
    process.exit(whole ? 0 : 1) })' "$(sides | wc -w)"; }
made() { comm -23 <(sort -u "$STATE/users") <(handoff mailbox list --json 2>/dev/null | "$node" -e 'let t="";process.stdin.on("data",c=>t+=c).on("end",()=>console.log(JSON.parse(t).map(m=>m.address).sort().join("\n")))' | sort -u); }
case $VERB in
  setup)
    rm -rf "$STATE"; mkdir -p "$STATE"; chmod 755 "$STATE_ROOT" "$STATE"; : > "$STATE/users"
    head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' > "$STATE/secret"; chmod 600 "$STATE/secret"
    for s in $(members); do mkdir -p "$STATE/$s"; conf "$s" > "$STATE/$s/handoff.yaml"; done
    ;;
  create_users) for u in "$@"; do echo "$u@$DOMAIN" >> "$STATE/users"; done ;;
  start)
    for s in $(members); do in_cg "$s" "$node" "$repo/bin/handoffd" --config "$STATE/$s/handoff.yaml"; done
    created || create
    wait_port $VIRTUAL $IMAP_PORT; wait_port $VIRTUAL $LMTP_PORT
    for _ in $(seq 300); do settled && break; sleep 0.1; done
    settled
    for u in $(made); do echo $PASSWORD | retried handoff mailbox create "$u"; done
    ;;
  endpoints)
    cpu=""; for s in $(members); do cpu="$cpu,\"$(cg "$s")/cpu.stat\""; done
    at="{\"imap\":{\"host\":\"$VIRTUAL\",\"port\":$IMAP_PORT},\"lmtp\":{\"host\":\"$VIRTUAL\",\"port\":$LMTP_PORT}}"
    # The survivor answers at the same address.
    echo "{\"active\":$at$([ "$(sides)" = A ] || echo ",\"replica\":$at"),\"password\":\"$PASSWORD\",\"domain\":\"$DOMAIN\",\"user_pattern\":\"u%03d\",\"cpu_stat\":[${cpu#,}]}"
    ;;
  settle) for _ in $(seq $(( ${1:-60} * 5 ))); do settled && exit 0; sleep 0.2; done; exit 1 ;;
  kill_active) kill_side A ;;
  promote) : ;; # by itself
  stats) stats "${1:-A}" ;;
  errors) grep -hE '"level":(50|60)' "$STATE"/?/data/log/*.log 2>/dev/null | grep -o '"msg":"[^"]*"' | sort | uniq -c | sort -rn | head -"${1:-12}" || true ;;
  stop)
    for s in $(members | tr ' ' '\n' | sort -r); do
      [ "$s" = W ] || { read -r pid _ < "$STATE/$s/data/handoffd.lock" && kill "$pid" && for _ in $(seq 200); do [ -e "/proc/$pid" ] || break; sleep 0.1; done; } || true
    done
    for s in $(members); do kill_side "$s"; done
    rm_cg
    ;;
  cleanup) for s in A B W; do kill_side $s; done; rm_cg; rmdir "$(cg W)" 2>/dev/null || true; rm -rf "$STATE" ;;
  *) echo "unknown verb $VERB" >&2; exit 2 ;;
esac
