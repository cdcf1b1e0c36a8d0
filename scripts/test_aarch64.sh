#!/usr/bin/env bash
# Cross-compiles for AArch64 and runs tests of kernels and a short training there by qemu's user-mode emulation, some
# twenty times slower than a real processor. As root it installs the compiler and the emulator; without them it says
# what is missing and exits 3.
#
# scripts/test_aarch64.sh [--root DIR] [FILTER]
#   FILTER      which tests, as --gtest_filter takes it; if not given, those of ops and golden files
#   --root DIR  Debian's libraries for AArch64 are in DIR, unpacked there if it is empty or missing
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  sed -n '/^# scripts\/test_aarch64/,/^set/s/^# //p' "$0" >&2
  exit 2
}

root=$PWD/build/aarch64-root filter='*Op*:OutOfRange.*:GoldenTest*:Philox.*'
while (($# > 0)); do
  case "$1" in
    --root)
      [[ -n "${2:-}" ]] || usage
      root=$(realpath -m "$2")
      shift
      ;;
    -*) usage ;;
    *) filter=$1 ;;
  esac
  shift
done

tools=(g++-aarch64-linux-gnu qemu-user)
missing=()
command -v aarch64-linux-gnu-g++ > /dev/null || missing+=("${tools[0]}")
command -v qemu-aarch64 > /dev/null || missing+=("${tools[1]}")
if ((${#missing[@]} > 0)); then
  ((EUID == 0)) || { echo "missing packages: ${missing[*]}; install them as root: apt-get install ${missing[*]}" >&2; exit 3; }
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null
fi

# Packages are unpacked, not installed: their scripts would have to run on AArch64.
if [[ ! -d "$root/usr/include" ]]; then
  echo "== libraries for AArch64 in $root"
  mkdir -p "$root"/apt/{lists/partial,archives/partial}
  : > "$root/apt/status"
  mapfile -t packages < <(sed -n '/^packages=(/,/^)/p' scripts/deps.sh | sed 's/#.*//' | grep -oE '(lib|zlib|nlohmann)[a-z0-9.+-]+')
  apt=(apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o "Dir::State=$root/apt"
    -o "Dir::State::status=$root/apt/status" -o "Dir::Cache=$root/apt" -o APT::Sandbox::User=root)
  "${apt[@]}" update
  "${apt[@]}" install -y --download-only --no-install-recommends libc6-dev libstdc++-12-dev "${packages[@]}" > /dev/null
  for package in "$root"/apt/archives/*.deb; do dpkg-deb --extract "$package" "$root"; done
  rm -r "$root/apt"
fi

build=$PWD/build/aarch64
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DGAN_WERROR=ON -DGAN_CUDA=OFF -DGAN_MPI=OFF -DCMAKE_SYSTEM_NAME=Linux \
  -DCMAKE_SYSTEM_PROCESSOR=aarch64 -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ -DCMAKE_SYSROOT="$root" \
  -DCMAKE_FIND_ROOT_PATH_MODE_PROGRAM=NEVER -DCMAKE_CROSSCOMPILING_EMULATOR="qemu-aarch64;-L;$root" > /dev/null
cmake --build "$build" --target gan gan_tests

run() { qemu-aarch64 -L "$root" "$@"; }
echo "== a short training"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
run "$build/gan" data make shapes --count 200 --size 16 --out "$work/shapes.npz"
run "$build/gan" train tutorial-lsgan --data "$work/shapes.npz" --steps 20 --out "$work/run" --quiet
run "$build/gan" sample "$work/run" --count 4 --out "$work/samples.png"
echo "== tests"
OMP_WAIT_POLICY=passive run "$build/tests/gan_tests" --gtest_color=no --gtest_brief=1 --gtest_filter="$filter"
