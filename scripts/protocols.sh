#!/usr/bin/env bash
# Makes the tables and pictures of docs/protocols.md: builds, fetches MNIST, trains and judges every protocol. About half
# an hour on two cores for one seed. Runs are kept in runs/protocols/ and not trained again.
#
# scripts/protocols.sh [--seeds N] [--threads N] [--with PROGRAM] [NAME ...]
#   --seeds N       seeds of each trial (default 3)
#   --threads N     threads; all processors if not given
#   --with PROGRAM  a gan that is built already
#   NAME            only these protocols; the others keep their tables
set -euo pipefail
cd "$(dirname "$0")/.."

seeds=3 threads=0 gan='' names=()
while (($# > 0)); do
  case "$1" in
    --seeds) seeds=$2 && shift ;;
    --threads) threads=$2 && shift ;;
    --with) gan=$2 && shift ;;
    -*) sed -n '/^# scripts\/protocols/,/^set/s/^# //p' "$0" >&2 && exit 2 ;;
    *) names+=("$1") ;;
  esac
  shift
done
((${#names[@]} > 0)) || names=(ring8 grid25 stacked-mnist parzen circle lsgan-mixture)

if [[ -z "$gan" ]]; then
  cmake --preset release > /dev/null
  cmake --build --preset release
  gan=build/release/gan
fi
"$gan" data fetch mnist

work=runs/protocols page=docs/protocols.md images=docs/images/protocols
mkdir -p "$images"
for name in "${names[@]}"; do
  "$gan" bench protocol "$name" --seeds "$seeds" --threads "$threads" --out "$work"
  cp "$work/$name.png" "$images/$name.png"
  # What stands between the marks is replaced.
  awk -v name="$name" -v table="$work/$name.md" '
    $0 == "<!-- end " name " -->" { skip = 0 }
    !skip { print }
    $0 == "<!-- begin " name " -->" {
      skip = 1
      while ((getline line < table) > 0) print line
      print "\n![" name "](images/protocols/" name ".png)"
    }' "$page" > "$work/page.md"
  cp "$work/page.md" "$page"
done
