#!/bin/sh
# deps.sh - makes sure that what the build needs is there.  On Debian 12 it
# installs the packages that are missing and nothing else; elsewhere it says
# what is missing.  It removes nothing and starts nothing.

set -u

packages="gcc make pkg-config libc6-dev libevent-dev libc-ares-dev libssl-dev
libconfig-dev check python3"

is_debian12() {
	[ -r /etc/os-release ] || return 1
	# shellcheck disable=SC1091
	( . /etc/os-release && [ "${ID:-}" = debian ] &&
	    [ "${VERSION_ID:-}" = 12 ] ) && command -v dpkg-query >/dev/null
}

missing_packages() {
	for p in $packages; do
		s=$(dpkg-query -W -f '${Status}' "$p" 2>/dev/null)
		[ "$s" = "install ok installed" ] || echo "$p"
	done
}

# Elsewhere: ask for the things themselves, whatever their packages are called.
missing_things() {
	for c in gcc make pkg-config python3; do
		command -v $c >/dev/null || echo "program $c"
	done
	command -v pkg-config >/dev/null || {
		echo "libraries libevent libcares openssl libconfig check" \
		    "(cannot look without pkg-config)"
		return
	}
	for l in "libevent >= 2.1" "libcares >= 1.18" "openssl >= 3.0" \
	    "libconfig >= 1.5" "check >= 0.15"; do
		pkg-config --exists "$l" || echo "library $l, with its headers"
	done
}

if ! is_debian12; then
	m=$(missing_things)
	[ -z "$m" ] && exit 0
	echo "This is not Debian 12, so nothing is installed by itself." >&2
	echo "Missing here:" >&2
	echo "$m" | sed 's/^/    /' >&2
	exit 1
fi

m=$(missing_packages | tr '\n' ' ')
[ -z "$m" ] && exit 0

echo "Installing: $m"
sudo=
if [ "$(id -u)" -ne 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo "Not root and no sudo.  As root run:" >&2
		echo "    apt-get install --no-install-recommends $m" >&2
		exit 1
	fi
	sudo=sudo
fi
# The lists may be older than the mirror, or not there at all.
$sudo apt-get update -q ||
    echo "apt-get update failed; trying with the lists at hand" >&2
# shellcheck disable=SC2086
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y \
    --no-install-recommends --no-remove $m
