# shellcheck shell=bash
# Bare Debian systems, for scripts/test_debian.sh and scripts/test_packages.sh, which read this file. It sets
# `temporary` to a folder for the time of the script. Needs root.

if ((EUID != 0)); then
  echo "$0 makes a system and changes root into it: run it as root" >&2
  exit 2
fi
for tool in debootstrap git; do
  command -v "$tool" > /dev/null || { echo "$tool is missing; install it: apt-get install $tool" >&2 && exit 3; }
done

# Mounts and processes live in namespaces of their own, which end with the first process in them, however that ends.
temporary=$(mktemp -d "${TMPDIR:-/var/tmp}/gan-debian.XXXXXX") job=''
chmod 755 "$temporary"
# shellcheck disable=SC2317  # a trap calls it
clean_up() {
  trap '' INT TERM HUP
  if [[ -n "$job" ]]; then
    # shellcheck disable=SC2046  # a list of process ids
    kill -KILL $(cat "/proc/$job/task/$job/children" 2> /dev/null) 2> /dev/null || true
    wait "$job" || true
  fi
  rm -rf --one-file-system "$temporary"
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

# take_suite SUITE [MIRROR]: sets suite and mirror, or prints the usage of the script.
take_suite() {
  (($# == 1 || $# == 2)) || usage
  suite=$1 mirror=${2:-}
  [[ "$suite" == bookworm || "$suite" == trixie ]] || usage
}

# make_system SUITE ROOT [MIRROR]: a bare Debian in the folder ROOT, unless it holds that already.
make_system() {
  local suite=$1 root=$2 mirror=${3:-} found
  mkdir -p "$root"
  # debootstrap removes its folder when it is done.
  if [[ -z "$(ls -A "$root")" || -d "$root/debootstrap" ]]; then
    echo "== a bare $suite in $root"
    in_namespaces debootstrap --variant=minbase "$suite" "$root" ${mirror:+"$mirror"} > "$temporary/log" 2>&1 ||
      { tail -n 20 "$temporary/log" >&2; echo "debootstrap could not make $suite" >&2; exit 4; }
  fi
  found=$(sed -n 's/^VERSION_CODENAME=//p' "$root/etc/os-release" 2> /dev/null || true)
  if [[ "$found" != "$suite" ]]; then
    echo "$root holds ${found:-no Debian}, not $suite: give --root an empty folder or one that this script made" >&2
    exit 2
  fi
}

# copy_sources ROOT: the files that git tracks, with local changes, in srv/gan.cpp; build outputs and modules of an
# earlier run stay. Only files that differ are written, so that what was built from them is older than they are.
copy_sources() {
  local copy=$1/srv/gan.cpp file
  mkdir -p "$copy"
  git -c safe.directory="$PWD" -c core.quotepath=off ls-files | LC_ALL=C sort > "$temporary/files"
  (cd "$copy" && find . \( -path ./build -o -name node_modules \) -prune -o ! -type d -printf "%P\n" | LC_ALL=C sort) | LC_ALL=C comm -13 "$temporary/files" - |
    while IFS= read -r file; do rm "$copy/$file"; done
  while IFS= read -r file; do
    cmp --silent "$file" "$copy/$file" && [[ -x "$file" || ! -x "$copy/$file" ]] && [[ ! -x "$file" || -x "$copy/$file" ]] &&
      continue
    mkdir -p "$copy/$(dirname "$file")"
    cp --no-dereference --preserve=mode "$file" "$copy/$file"
  done < "$temporary/files"
}

# in_system ROOT COMMANDS: runs lines of bash in a system, in srv/gan.cpp, with this machine's settings of the network:
# proxies and certificates. The folder becomes the root by pivot_root: in a chroot scripts/test.sh could not make mounts
# of its own.
in_system() {
  if [[ -n "${NODE_EXTRA_CA_CERTS:-}" ]]; then cp "$NODE_EXTRA_CA_CERTS" "$1/srv/certificates.pem"; fi
  # shellcheck disable=SC2016  # the inner shell expands them
  in_namespaces bash -c '
    set -e
    mount --bind "$1" "$1"
    cd "$1"
    mount -t proc proc proc
    mount -t sysfs -o ro sysfs sys  # where Open MPI looks for processors
    pivot_root . .
    umount --lazy .
    exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 ${http_proxy:+http_proxy="$http_proxy"} \
      ${https_proxy:+https_proxy="$https_proxy"} \
      ${NODE_EXTRA_CA_CERTS:+NODE_EXTRA_CA_CERTS=/srv/certificates.pem} chroot . bash -c "cd /srv/gan.cpp && $2"' \
    - "$1" "$2"
}

# say_end SUITE STATUS: the last line, and the script's end.
say_end() {
  local time="$((SECONDS / 60)) min $((SECONDS % 60)) s"
  if (($2 == 0)); then
    echo "== $1: passed in $time"
  else
    echo "== $1: failed (exit $2) after $time" >&2
  fi
  exit "$2"
}
