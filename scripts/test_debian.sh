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

demo=false kept='' arguments=()
while (($# > 0)); do
  case "$1" in
    --demo) demo=true ;;
    --root)
      kept=${2:-}
      [[ -n "$kept" ]] || usage
      shift
      ;;
    -*) usage ;;
    *) arguments+=("$1") ;;
  esac
  shift
done
((${#arguments[@]} == 1 || ${#arguments[@]} == 2)) || usage
suite=${arguments[0]} mirror=${arguments[1]:-}
[[ "$suite" == bookworm || "$suite" == trixie ]] || usage
if ((EUID != 0)); then
  echo "scripts/test_debian.sh makes a system and changes root into it: run it as root" >&2
  exit 2
fi
for tool in debootstrap git; do
  command -v "$tool" > /dev/null || { echo "$tool is missing; install it: apt-get install $tool" >&2 && exit 3; }
done

# Mounts and processes live in namespaces of their own, which end with the first process in them, however that ends.
root='' job='' log=$(mktemp)
# shellcheck disable=SC2317  # a trap calls it
clean_up() {
  trap '' INT TERM HUP
  if [[ -n "$job" ]]; then
    # shellcheck disable=SC2046  # a list of process ids
    kill -KILL $(cat "/proc/$job/task/$job/children" 2> /dev/null) 2> /dev/null || true
    wait "$job" || true
  fi
  rm -f "$log"
  if [[ -z "$kept" && -n "$root" ]]; then rm -rf --one-file-system "$root"; fi
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
in_namespaces() {
  unshare --mount --pid --fork --kill-child "$@" < /dev/null &
  job=$!
  local status=0
  wait "$job" || status=$?
  job=''
  return "$status"
}

if [[ -n "$kept" ]]; then
  mkdir -p "$kept"
  root=$(realpath "$kept")
else
  root=$(mktemp -d "${TMPDIR:-/var/tmp}/gan-$suite.XXXXXX")
  chmod 755 "$root"
fi

# debootstrap removes its folder when it is done.
if [[ -z "$(ls -A "$root")" || -d "$root/debootstrap" ]]; then
  echo "== a bare $suite in $root"
  in_namespaces debootstrap --variant=minbase "$suite" "$root" ${mirror:+"$mirror"} > "$log" 2>&1 ||
    { tail -n 20 "$log" >&2; echo "debootstrap could not make $suite" >&2; exit 4; }
fi
found=$(sed -n 's/^VERSION_CODENAME=//p' "$root/etc/os-release" 2> /dev/null || true)
if [[ "$found" != "$suite" ]]; then
  echo "$root holds ${found:-no Debian}, not $suite: give --root an empty folder or one that this script made" >&2
  exit 2
fi

# Copies the files that git tracks, with local changes; build outputs of an earlier run stay.
copy=$root/srv/gan.cpp
mkdir -p "$copy"
find "$copy" -mindepth 1 -maxdepth 1 ! -name build -exec rm -rf {} +
git -c safe.directory="$PWD" ls-files -z | tar --create --null --files-from=- | tar --extract --directory="$copy"

commands='scripts/test.sh'
if $demo; then commands+=' && scripts/demo.sh'; fi
status=0
# The folder becomes the root by pivot_root: in a chroot scripts/test.sh could not make mounts of its own.
# shellcheck disable=SC2016  # the inner shell expands them
in_namespaces bash -c '
  set -e
  mount --bind "$1" "$1"
  cd "$1"
  mount -t proc proc proc
  pivot_root . .
  umount --lazy .
  exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 ${http_proxy:+http_proxy="$http_proxy"} \
    ${https_proxy:+https_proxy="$https_proxy"} chroot . bash -c "cd /srv/gan.cpp && $2"' \
  - "$root" "$commands" || status=$?
if ((status == 0)); then
  echo "== $suite: passed in $((SECONDS / 60)) min $((SECONDS % 60)) s"
else
  echo "== $suite: failed (exit $status) after $((SECONDS / 60)) min $((SECONDS % 60)) s" >&2
fi
exit "$status"
