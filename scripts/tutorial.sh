#!/usr/bin/env bash
# Makes every picture, curve and number of docs/tutorial.md: installs what is missing, builds, fetches MNIST, trains and
# evaluates the tutorial's runs and draws samples. About 20 minutes on two cores. Runs are kept in runs/tutorial/ and
# skipped the next time unless their preset or command has changed; one that was interrupted is resumed.
#
# scripts/tutorial.sh [--fresh] [--steps N] [--threads N]
#   --fresh      train everything again
#   --steps N    a trial: N steps a run, fewer samples judged, all under runs/tutorial-trial/; docs/ stays as it is
#   --threads N  threads of training and judging; all processors if not given
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  sed -n '/^# scripts\/tutorial/,/^set/s/^# //p' "$0" >&2
  exit 2
}

number() { [[ "$1" =~ ^[1-9][0-9]{0,8}$ ]] || usage; }

fresh=false steps='' threads=0
while (($# > 0)); do
  case "$1" in
    --fresh) fresh=true ;;
    --steps) number "${2:-}" && steps=$2 && shift ;;
    --threads) number "${2:-}" && threads=$2 && shift ;;
    *) usage ;;
  esac
  shift
done

# Each run: its name and the arguments of `gan train`. The tutorial's own networks collapse in their first hundreds of
# steps; the others train for two to three minutes on two cores.
runs=(
  'gan                      gan --steps 3000'
  'tutorial-bce             tutorial-bce --steps 3000'
  'tutorial-lsgan           tutorial-lsgan --steps 3000'
  'tutorial-bce-repaired    tutorial-bce-repaired --steps 9000'
  'tutorial-lsgan-repaired  tutorial-lsgan-repaired --steps 9000'
  'unconditional            tutorial-lsgan-repaired --unconditional --steps 3000'
  'default                  --steps 10000'
)
plotted='tutorial-bce tutorial-lsgan tutorial-bce-repaired tutorial-lsgan-repaired'

page=docs/tutorial.md
judging=(--data mnist --threads "$threads")
if [[ -n "$steps" ]]; then
  work=runs/tutorial-trial images=runs/tutorial-trial/images
  mkdir -p "$images"
  cp "$page" "$work/tutorial.md"
  page=$work/tutorial.md
  judging+=(--count 1000)
else
  work=runs/tutorial images=docs/images/tutorial
fi
mkdir -p "$work" "$images" build

scripts/deps.sh --docs
log=build/tutorial.log
echo "building (the log is in $log)"
{ cmake --preset release && cmake --build --preset release; } > "$log" 2>&1 || { tail -n 50 "$log" >&2; exit 4; }
gan=build/release/gan
"$gan" data fetch mnist || { scripts/deps.sh --fetch && "$gan" data fetch mnist; }

# The inputs of a run besides the program: its command and its preset (all presets if none is named).
fingerprint() {
  local preset=presets/$1.toml
  if [[ -f "$preset" ]]; then cat "$preset"; else cat presets/*.toml; fi | cksum
  echo "$*"
}

for run in "${runs[@]}"; do
  read -r name rest <<< "$run"
  read -ra words <<< "$rest"
  if [[ -n "$steps" ]]; then
    [[ "$name" == default ]] && words=()
    words+=(--steps "$steps")
  fi
  out=$work/$name
  if $fresh || [[ "$(cat "$out/of.txt" 2> /dev/null)" != "$(fingerprint "${words[@]}")" ]]; then
    rm -rf "$out"
  fi
  if [[ ! -f "$out/trained" ]]; then
    echo "== $name: gan train ${words[*]} --data mnist"
    # A run that was stopped before its first checkpoint starts again.
    if [[ -f "$out/checkpoint.safetensors" ]]; then
      "$gan" train --resume --out "$out" --threads "$threads"
    else
      rm -rf "$out"
      mkdir -p "$out"
      fingerprint "${words[@]}" > "$out/of.txt"
      "$gan" train "${words[@]}" --data mnist --out "$out" --threads "$threads"
    fi
    touch "$out/trained"
  fi
  if [[ ! -f "$out/scores.json" ]]; then
    echo "== $name: gan eval"
    "$gan" eval "$out" --json "${judging[@]}" > "$out/scores.tmp"
    mv "$out/scores.tmp" "$out/scores.json"
  fi
done

echo "== pictures"
for run in "${runs[@]}"; do
  read -r name rest <<< "$run"
  case "$name" in
    gan | unconditional) "$gan" sample "$work/$name" --count 100 --out "$images/$name.png" ;;
    *) "$gan" sample "$work/$name" --per-class 10 --out "$images/$name.png" ;;
  esac
  jq -r '[.step, .loss_g, .loss_d, .d_real, .d_fake] | map(tostring) | join("\t")' "$work/$name/metrics.jsonl" |
    sed '1i step\tloss_g\tloss_d\td_real\td_fake' > "$work/$name.tsv"
done
"$gan" losses --curves "$work/losses.tsv"
gnuplot -e "table='$work/losses.tsv'; out='$images/losses.svg'; other='$images/losses-other.svg'" docs/tutorial/losses.gp
gnuplot -e "folder='$work'; runs='$plotted'; out='$images/training.svg'" docs/tutorial/training.gp

# The table between the markers of the page.
{
  echo '| run | steps | label accuracy | Frechet distance | precision | recall | coverage | between labels | within |'
  echo '|---|--:|--:|--:|--:|--:|--:|--:|--:|'
  for run in "${runs[@]}"; do
    read -r name rest <<< "$run"
    jq -r --arg name "$name" '
      [$name, .steps, .label_accuracy, .fd, .precision, .recall, .coverage, .spread.between_labels, .spread.within] |
      map(. // "-") | @tsv' "$work/$name/scores.json"
  done
  jq -r '["", "-", "-", "-", "-", "-", "-", .real_spread.between_labels, .real_spread.within] | @tsv' \
    "$work/default/scores.json"
} | awk -F '\t' '
  function number(format, text) { return text == "-" ? "" : sprintf(format, text) }
  NF == 1 { print; next }
  {
    printf "| %s | %s |", $1 == "" ? "real test images" : "`" $1 "`", number("%d", $2)
    printf " %s | %s | %s |", number("%.3f", $3), number("%.1f", $4), number("%.2f", $5)
    printf " %s | %s | %s | %s |\n", number("%.2f", $6), number("%.2f", $7), number("%.3f", $8), number("%.3f", $9)
  }' > "$work/scores.md"
begin='<!-- scores: written by scripts/tutorial.sh -->' end='<!-- end of scores -->'
for marker in "$begin" "$end"; do
  grep -qxF -- "$marker" "$page" || { echo "$page: no line \"$marker\"" >&2 && exit 4; }
done
awk -v begin="$begin" -v end="$end" -v table="$work/scores.md" '
  $0 == end { inside = 0 }
  !inside { print }
  $0 == begin { inside = 1; while ((getline line < table) > 0) print line }' "$page" > "$work/page.md"
cp "$work/page.md" "$page"
cat "$work/scores.md"
echo "wrote $images and the scores in $page"
