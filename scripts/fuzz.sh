#!/usr/bin/env bash
# Builds the fuzzers of the readers of users' files and runs them, as many at a time as there are processors. They start
# from tests/fuzz/corpus/FORMAT/ and from what earlier runs found interesting, in build/fuzz/corpus/FORMAT/. Inputs that
# crash, leak, take 10 seconds or 1 GB are findings, written to build/fuzz/findings/FORMAT/: mend the reader and move
# them to tests/fuzz/regressions/FORMAT/, which a test reads. Exits 1 if there are any.
#
# scripts/fuzz.sh [SECONDS [FORMAT...]]
#   SECONDS  for each format, by default 600
#   FORMAT   idx, npy, png, ...: by default every folder of tests/fuzz/corpus/
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-600}
[[ "$seconds" =~ ^[1-9][0-9]*$ ]] || { sed -n '/^# scripts\/fuzz/,/^set/s/^# //p' "$0" >&2 && exit 2; }
formats=("${@:2}")
((${#formats[@]} > 0)) || formats=($(ls tests/fuzz/corpus))

cmake --preset fuzz > /dev/null
cmake --build --preset fuzz

export TMPDIR=/dev/shm ASAN_OPTIONS=allocator_may_return_null=1 OMP_NUM_THREADS=1

fuzz() {
  local format=$1 seconds=$2 found=build/fuzz/findings/$1
  mkdir -p "build/fuzz/corpus/$format" "$found"
  "build/fuzz/tests/fuzz/fuzz_$format" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1500 \
    -malloc_limit_mb=1000 -max_len=20000 -artifact_prefix="$found/" -print_final_stats=1 \
    "build/fuzz/corpus/$format" "tests/fuzz/corpus/$format" > "build/fuzz/$format.log" 2>&1 ||
    { echo "$format: FINDING, see build/fuzz/$format.log" && return 1; }
  echo "$format: $(sed -n 's/^stat::number_of_executed_units: *//p' "build/fuzz/$format.log") executions"
}
export -f fuzz
printf '%s\n' "${formats[@]}" | xargs -P "$(nproc)" -I {} bash -c "fuzz {} $seconds" || exit 1
