#!/usr/bin/env bash
# Makes the packages in a Debian (scripts/package.sh), then tries them in a bare one: the portable archive with nothing
# installed, the Debian packages with what they depend on, the examples built from them. Needs root.
#
# scripts/test_packages.sh [--root DIR | --packages DIR] SUITE [MIRROR]
#   SUITE           bookworm (Debian 12) or trixie (Debian 13)
#   MIRROR          where packages come from, as debootstrap takes it
#   --root DIR      the system that builds is in DIR, as scripts/test_debian.sh leaves it, and stays
#   --packages DIR  the packages are there already: .deb files, or the archive, or both
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  sed -n '/^# scripts\/test_packages/,/^set/s/^# //p' "$0" >&2
  exit 2
}

root='' packages='' arguments=()
while (($# > 0)); do
  case "$1" in
    --root | --packages)
      [[ -n "${2:-}" ]] || usage
      if [[ "$1" == --root ]]; then root=$2; else packages=$2; fi
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

if [[ -z "$packages" ]]; then
  root=$(realpath -m "${root:-$temporary/build}")
  make_system "$suite" "$root" "$mirror"
  copy_sources "$root"
  in_system "$root" scripts/package.sh || say_end "$suite" $?
  packages=$root/srv/gan.cpp/build/packages
fi

bare=$temporary/bare
make_system "$suite" "$bare" "$mirror"
mkdir -p "$bare/srv/gan.cpp"
cp -r examples scripts/try_packages "$packages"/gan*.tar.gz "$packages"/*.deb "$bare/srv/gan.cpp" 2> /dev/null || true
status=0
in_system "$bare" ./try_packages || status=$?
say_end "$suite" "$status"
