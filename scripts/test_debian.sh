#!/usr/bin/env bash
# Runs scripts/test.sh, or with --demo also scripts/demo.sh, in a bare Debian that debootstrap makes, so that no package
# of this machine is used. Needs root. The system and what is built in it are removed at the end.
#
# scripts/test_debian.sh [--demo] [--root DIR] SUITE [MIRROR]
#   SUITE       bookworm (Debian 12) or trixie (Debian 13)
#   MIRROR      where packages come from, as debootstrap takes it
#   --root DIR  the system is in DIR, made there if DIR is empty or missing, and stays, for a quicker next time
#   --demo      the demo, too, which fetches MNIST
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  sed -n '/^# scripts\/test_debian/,/^set/s/^# //p' "$0" >&2
  exit 2
}

demo=false root='' arguments=()
while (($# > 0)); do
  case "$1" in
    --demo) demo=true ;;
    --root)
      root=${2:-}
      [[ -n "$root" ]] || usage
      shift
      ;;
    -*) usage ;;
    *) arguments+=("$1") ;;
  esac
  shift
done
# shellcheck source=scripts/debian_system.sh
source scripts/debian_system.sh
take_suite "${arguments[@]}"

root=$(realpath -m "${root:-$temporary/system}")
make_system "$suite" "$root" "$mirror"
copy_sources "$root"
commands='scripts/test.sh'
if $demo; then commands+=' && scripts/demo.sh'; fi
status=0
in_system "$root" "$commands" || status=$?
say_end "$suite" "$status"
