#!/bin/bash
#
# parts.sh - fetches the foreign programs that the lab and the end-to-end
# tests run as parts: Unbound, Postfix's smtp-source, swaks, dig and nslookup.
# Never installs anything and never starts a service: packages are downloaded,
# with the libraries that this machine lacks, and unpacked under build/parts.
# Read next: tests/lab/parts.py, which starts them from there.
#
# Prints one line NAME=PATH a program.  Quick when everything is there.
#
set -eu
cd "$(dirname "$0")/../.."
parts=$PWD/build/parts
arch=$(dpkg --print-architecture 2>/dev/null || echo none)
triplet=$(gcc -print-multiarch 2>/dev/null || uname -m)

die()
{
	echo "parts: $*" >&2
	exit 1
}

# program  package  path inside the package
wanted()
{
	echo "unbound unbound usr/sbin/unbound"
	echo "unbound-control unbound usr/sbin/unbound-control"
	echo "smtp-source postfix usr/sbin/smtp-source"
	echo "swaks swaks usr/bin/swaks"
	echo "dig bind9-dnsutils usr/bin/dig"
	echo "nslookup bind9-dnsutils usr/bin/nslookup"
}

# Servers always come from build/parts, so that every machine runs the same
# thing; the three plain tools are taken from the PATH where they are.
from_path()
{
	case $1 in
	swaks|dig|nslookup)	command -v "$1" ;;
	*)			return 1 ;;
	esac
}

missing_packages()
{
	wanted | while read -r prog pkg path; do
		from_path "$prog" >/dev/null || [ -e "$parts/$path" ] ||
			echo "$pkg"
	done | sort -u
}

installed()
{
	dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null |
		grep -qx installed
}

# The libraries among everything a package depends on that are not installed;
# without libelogind, which would hide the machine's own libsystemd.
libraries_of()
{
	apt-cache depends --recurse -o APT::Cache::ShowOnlyFirstOr=true \
		--no-recommends --no-suggests \
		--no-conflicts --no-breaks --no-replaces --no-enhances "$1" |
		grep -E '^(lib|bind9-libs|perl)' | grep -v '^libelogind' |
		cut -d: -f1 | sort -u |
		while read -r lib; do
			installed "$lib" || echo "$lib"
		done
}

# Virtual packages have no version of their own.
is_real()
{
	apt-cache show --no-all-versions "$1" 2>/dev/null | grep -q '^Filename:'
}

refresh_lists()
{
	if [ "$(id -u)" = 0 ]; then
		apt-get -q update
	elif sudo -n true 2>/dev/null; then
		sudo apt-get -q update
	else
		die "the package lists are missing; run 'apt-get update' as root once"
	fi
}

fetch()
{
	local pkgs=() pkg lib
	mkdir -p "$parts/deb"
	for pkg in "$@"; do
		is_real "$pkg" || refresh_lists >&2
		is_real "$pkg" || die "no package $pkg in the package lists"
		pkgs+=("$pkg")
		for lib in $(libraries_of "$pkg"); do
			if is_real "$lib"; then
				pkgs+=("$lib")
			fi
		done
	done
	mapfile -t pkgs < <(printf '%s\n' "${pkgs[@]}" | sort -u)
	echo "parts: downloading ${pkgs[*]}" >&2
	(cd "$parts/deb" && download "${pkgs[@]}")
	for pkg in "$parts"/deb/*.deb; do
		dpkg-deb -x "$pkg" "$parts"
	done
	rm -rf "$parts/deb"
}

# Stale lists name files that the mirror has dropped: once more after update.
download()
{
	apt-get -q download "$@" >&2 && return
	refresh_lists >&2
	apt-get -q download "$@" >&2 ||
		die "cannot download: $* (is there a network?)"
}

report()
{
	local ok=0
	while read -r prog pkg path; do
		if [ -e "$parts/$path" ]; then
			echo "$prog=$parts/$path"
		elif from_path "$prog" >/dev/null; then
			echo "$prog=$(from_path "$prog")"
		else
			echo "parts: $prog is missing" >&2
			ok=1
		fi
	done < <(wanted)
	echo "library_path=$parts/usr/lib/$triplet:$parts/usr/lib/postfix:$parts/lib/$triplet"
	return $ok
}

# Asked before anything is written: a user who may not write here only reads.
todo=$(missing_packages)
if [ -n "$todo" ]; then
	mkdir -p "$parts"
	exec 9>"$parts/.lock"
	flock 9
	todo=$(missing_packages)
fi
if [ -n "$todo" ]; then
	[ "$arch" != none ] ||
		die "this is not Debian: install unbound, postfix, swaks, dig yourself"
	# shellcheck disable=SC2086
	fetch $todo
fi
report
