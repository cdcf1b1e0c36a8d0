#!/usr/bin/env bash
# Installs what is missing, builds, runs every test; then runs the tests of bad input again under the address and
# undefined-behaviour sanitizers.
set -euo pipefail
cd "$(dirname "$0")/.."

jobs=$(nproc)
scripts/deps.sh --test

echo "== build and tests"
cmake --preset test > /dev/null
cmake --build --preset test -j "$jobs"
ctest --preset test -j "$jobs"

echo "== bad input under the sanitizers"
cmake --preset asan > /dev/null
cmake --build --preset asan -j "$jobs"
ctest --preset asan -j "$jobs" -R BadInput --no-tests=error

echo "== all tests passed in $((SECONDS / 60)) min $((SECONDS % 60)) s"
