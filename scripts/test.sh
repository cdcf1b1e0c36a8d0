#!/usr/bin/env bash
# Installs what is missing, builds, runs every test; then some of them again in a restricted environment, and those of
# bad input under the address and undefined-behaviour sanitizers.
set -euo pipefail
cd "$(dirname "$0")/.."

jobs=$(nproc)
scripts/deps.sh --test

echo "== build and tests"
cmake --preset test > /dev/null
cmake --build --preset test -j "$jobs"
ctest --preset test -j "$jobs"

# One thread, no locale, an empty home folder, read-only sources: as in batch systems and package builds.
echo "== end to end in a restricted environment"
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
mkdir "$place/home" "$place/tmp"
tests=(env -u XDG_CACHE_HOME OMP_THREAD_LIMIT=1 LC_ALL=C HOME="$place/home" TMPDIR="$place/tmp"
  "$PWD/build/test/tests/gan_tests" --gtest_brief=1
  --gtest_filter='Cli.*:CliModel.*:Sampler*-*BadInput*')
if unshare --map-root-user --mount true 2> /dev/null; then
  unshare --map-root-user --mount bash -c \
    'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && cd "$1" && exec "${@:2}"' - "$PWD" "${tests[@]}"
  echo "== full disks and read-only folders"
  scripts/disk_test > build/disk_test.log || { tail "build/disk_test.log" >&2 && exit 1; }
else
  echo "(private mounts are not permitted here: the sources stay writable)"
  "${tests[@]}"
fi

echo "== bad input under the sanitizers"
# Without optimization: most of the time goes into compiling.
cmake --preset asan -DGAN_TESTS_WITH=BadInput -DGAN_CUDA=OFF -DGAN_MPI=OFF \
  -DCMAKE_CXX_FLAGS_RELWITHDEBINFO="-O0 -g1 -DNDEBUG" > /dev/null
cmake --build --preset asan -j "$jobs"
ctest --preset asan -j "$jobs" -R BadInput --no-tests=error

echo "== all tests passed in $((SECONDS / 60)) min $((SECONDS % 60)) s"
