#!/bin/sh
#
# postfix.sh - runs Debian's Postfix from the folder where parts.sh unpacked
# it, in a mount and pid namespace of its own, so that neither its users nor
# its compiled-in paths need to be on this machine.  Must never run outside of
# such namespaces.  Started by mta.py, which writes DIR/conf first.
#
# usage: unshare --mount --pid --fork --kill-child postfix.sh PARTS DIR TRIPLET
#
set -eu
parts=$1
dir=$2
triplet=$3

[ $$ = 1 ] || { echo "postfix.sh: not in a namespace of its own" >&2; exit 1; }

# Reachable for the user postfix, wherever the checkout is.
mount -t tmpfs -o mode=755 none /mnt
mkdir /mnt/parts /mnt/run
mount --bind "$parts" /mnt/parts
mount --bind "$dir" /mnt/run

for f in passwd group; do
	grep -vE '^(postfix|postdrop):' /etc/$f >/mnt/$f
done
echo 'postfix:x:2525:2525::/nonexistent:/usr/sbin/nologin' >>/mnt/passwd
printf 'postfix:x:2525:\npostdrop:x:2526:\n' >>/mnt/group
mount --bind /mnt/passwd /etc/passwd
mount --bind /mnt/group /etc/group

# What "postfix check" would make, without its hundred other things.
closed="active bounce corrupt defer deferred flush hold incoming private saved
trace"
mkdir -p /mnt/run/data /mnt/run/queue
cd /mnt/run/queue
# shellcheck disable=SC2086
mkdir -m 700 $closed
mkdir -m 755 pid
mkdir public maildrop
# shellcheck disable=SC2086
chown postfix:root $closed ../data
chown postfix:postdrop public maildrop
chmod 700 ../data
chmod 2710 public
chmod 1730 maildrop

# Not exec: the kernel forgets --kill-child in a program that changes its user,
# as master does; this shell stays, and all goes with it.
LD_LIBRARY_PATH=/mnt/parts/usr/lib/$triplet:/mnt/parts/usr/lib/postfix
export LD_LIBRARY_PATH
/mnt/parts/usr/lib/postfix/sbin/master -s -c /mnt/run/conf &
wait
