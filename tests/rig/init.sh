#!/bin/bash
# pid 1 of a rig's host: own mounts, own name, then reaps children for ever. When it is killed, the kernel kills the whole host.
# $1 host name, $2 its directory on the machine: disk becomes /mnt, tmp becomes TMPDIR; $3 lines of /etc/hosts
set -e
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount --make-rprivate /
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount --bind "$2/disk" /mnt
mount -t tmpfs tmpfs /run
mkdir -p /run/lock
mkdir -m 1777 /run/postgresql
mount -t tmpfs tmpfs /dev/shm
chmod 1777 /dev/shm
printf '%b' "$3" > /run/hosts
mount --bind /run/hosts /etc/hosts
: > /run/resolv.conf
mount --bind /run/resolv.conf /etc/resolv.conf 2>/dev/null || true
hostname "$1"
# Another range of process ids after every boot: a stale pid file must not name a live process by chance.
echo $((RANDOM % 27000 + 1000)) > /proc/sys/kernel/ns_last_pid 2>/dev/null || true
trap '' TERM INT HUP
: > "$2/ready"
exec </dev/null
while :; do
  sleep 1000000000 &
  wait $! || true
done
