#!/bin/sh
# run_unit.sh PROGRAM … - runs the unit test programs, two at a time, shows
# what failed and says at the end "N passed, M failed", counting checks.  A
# program that dies without a summary counts as one failure.

set -u

tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
UNIT_TMP=$tmp
export UNIT_TMP

[ $# -gt 0 ] && printf '%s\n' "$@" | xargs -P 2 -I PROG sh -c '
	log=$UNIT_TMP/$(echo "$1" | tr / _)
	timeout 120 "$1" >"$log.out" 2>&1
	echo "$? $1" >"$log.rc"
' run_one PROG

passed=0
failed=0
for rc in "$tmp"/*.rc; do
	[ -e "$rc" ] || continue
	read -r code prog <"$rc"
	out=${rc%.rc}.out
	# "85%: Checks: 20, Failures: 2, Errors: 1"
	sum=$(sed -n 's/^[0-9]*%: Checks: \([0-9]*\), Failures: \([0-9]*\), Errors: \([0-9]*\).*/\1 \2 \3/p' \
	    "$out" | tail -n 1)
	if [ -z "$sum" ]; then
		checks=1 bad=1
	else
		# shellcheck disable=SC2086
		set -- $sum
		checks=$1 bad=$(($2 + $3))
	fi
	# All checks fine, yet the program was not (a leak, a crash at exit).
	[ "$bad" -eq 0 ] && [ "$code" -ne 0 ] && bad=1 checks=$((checks + 1))
	failed=$((failed + bad))
	passed=$((passed + checks - bad))
	[ "$bad" -eq 0 ] && continue
	echo "FAILED: $prog (exit $code)"
	# With a summary the failed checks tell all; without, the last words.
	if [ -n "$sum" ] && grep -q -E '^[^ ]+\.c:[0-9]+:[FE]:' "$out"; then
		grep -E '^[^ ]+\.c:[0-9]+:[FE]:' "$out"
	else
		tail -n 40 "$out"
	fi | sed 's/^/    /'
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
