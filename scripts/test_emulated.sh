#!/usr/bin/env bash
# Runs tests on an emulated processor that has AVX-512 (with bf16 and fp16) and AMX: builds the preset `test`, then
# boots Linux with gan_tests in the emulator Bochs, some hundred times slower than a real processor.
#
# scripts/test_emulated.sh [--root DIR] [--cpu MODEL] [--without FEATURES] [FILTER]
#   FILTER              which tests, as --gtest_filter takes it; if not given, those of kernels for such processors
#   --root DIR          Bochs and Linux come from the Debian 13 in DIR, which scripts/test_debian.sh --root DIR trixie
#                       makes, and are installed there; needs root. If not given, this system is Debian 13.
#   --cpu MODEL         sapphire_rapids if not given; `bochs --help cpu` lists what there is
#   --without FEATURES  what the processor is to lack, such as amx,amx_int8,amx_bf16 or avx512fp16
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  sed -n '/^# scripts\/test_emulated/,/^set/s/^# //p' "$0" >&2
  exit 2
}

debian=(env) root='' cpu=sapphire_rapids without=''
filter='MachineCode.*:MatmulChain.*:Unfolded*:RowProduct.*:Matvec.*:Random*:Philox.*:Table/Ops.*'
while (($# > 0)); do
  case "$1" in
    --root | --cpu | --without)
      [[ -n "${2:-}" ]] || usage
      case "$1" in
        --root) root=$(realpath "$2") debian=(chroot "$(realpath "$2")") ;;
        --cpu) cpu=$2 ;;
        --without) without=$2 ;;
      esac
      shift
      ;;
    -*) usage ;;
    *) filter=$1 ;;
  esac
  shift
done

# Linux is that of trixie-backports: that of Debian 13 is too old for `setcpuid` (see below).
packages=(bochs bochs-term bochsbios busybox-static isolinux syslinux-common vgabios xorriso)
find_linux() {
  "${debian[@]}" apt-cache search --names-only '^linux-binary-[0-9.]+\+deb13-cloud-amd64$' | sort -V |
    sed -n '$s/ .*//p'
}
if ! "${debian[@]}" dpkg -s "${packages[@]}" > /dev/null 2>&1 || [[ -z "$(find_linux)" ]]; then
  if [[ -z "$root" ]]; then
    echo "add trixie-backports to apt's sources and install: ${packages[*]}" >&2
    exit 3
  fi
  sed -n 's/ trixie / trixie-backports /p' "$root/etc/apt/sources.list" > "$root/etc/apt/sources.list.d/backports.list"
  "${debian[@]}" apt-get update -qq
  "${debian[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qqy --no-install-recommends "${packages[@]}"
fi

cmake --preset test > /dev/null
cmake --build --preset test

emulator='' work=$("${debian[@]}" mktemp -d /var/tmp/gan-emulated.XXXXXX)
# shellcheck disable=SC2317  # a trap calls it
clean_up() {
  if [[ -n "$emulator" ]]; then kill -KILL "$emulator" 2> /dev/null || true; fi
  rm -rf "$root$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
mkdir "$root$work"/{linux,disc,files} "$root$work"/files/{bin,dev,proc,sys,tmp}
linux=$(find_linux)
"${debian[@]}" sh -c "cd $work/linux && apt-get download -qq -o APT::Sandbox::User=root $linux && dpkg -x *.deb ."
find "$root$work/linux" -name 'vmlinuz*' -exec mv {} "$root$work/disc/vmlinuz" \;

# The tests and what they need are the initial file system, at the paths that they have here.
tests=$PWD/build/test/tests/gan_tests gan=$PWD/build/test/gan chrt=$(command -v chrt)
{
  printf '%s\n' "$tests" "$gan" "$chrt" "$PWD/tests/data" "$PWD/tests/golden"
  ldd "$tests" "$gan" "$chrt" | sed -nE 's/^.*[[:space:]](\/[^ ]+) \(0x.*$/\1/p' | sort -u
} | xargs -d '\n' cp -r --dereference --parents --target-directory="$root$work/files"
cp "$root/bin/busybox" "$root$work/files/bin"
# Bochs 3.0 lacks XFD, so Linux does not save AMX registers when it switches threads; with --fifo none interrupts
# another.
cat > "$root$work/files/init" << END
#!/bin/busybox sh
/bin/busybox --install /bin
export PATH=/bin HOME=/tmp OMP_WAIT_POLICY=passive
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmpfs /tmp
echo \$(grep -m 1 flags /proc/cpuinfo | grep -oE '(avx|amx)[^ ]*')
cd /tmp
$chrt --fifo 1 $(printf '%q ' "$tests" --gtest_color=no "--gtest_filter=$filter")
echo "gan_tests: exit \$?"
sleep 0.1
reboot -f
END
chmod +x "$root$work/files/init"
"${debian[@]}" sh -c "cd $work/files && find . | busybox cpio -o -H newc > ../disc/files" 2> /dev/null

# `setcpuid` says what the processor has: 324 is XFD, without which Linux leaves AMX off; 297 is ERMS, with which it
# clears pages by `rep stosb`. Where AMX is on, Bochs 3.0 may run code that has been overwritten since, unless its page
# was cleared so. ACPI is off, since Bochs stops at the interrupt that turns it on; a triple fault ends Bochs.
cat > "$root$work/disc/isolinux.cfg" << END
DEFAULT vmlinuz initrd=files console=ttyS0 loglevel=2 mitigations=off setcpuid=297,324 acpi=off panic=-1 reboot=triple
END
"${debian[@]}" sh -c "cd $work && cp /usr/lib/ISOLINUX/isolinux.bin /usr/lib/syslinux/modules/bios/ldlinux.c32 disc &&
  xorriso -as mkisofs -quiet -o disc.iso -b isolinux.bin -no-emul-boot -boot-load-size 4 -boot-info-table disc" \
  2> "$root$work/log" || { cat "$root$work/log" >&2; exit 4; }
cat > "$root$work/bochsrc" << END
cpu: model=$cpu, ips=50000000, reset_on_triple_fault=0${without:+, exclude_features=\"$without\"}
memory: guest=2048, host=2048
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
ata0-master: type=cdrom, path=$work/disc.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=$work/output
display_library: term
plugin_ctrl: speaker=0
clock: sync=none
panic: action=fatal
log: $work/log
END
: > "$root$work/output"
"${debian[@]}" env TERM=linux bochs -q -f "$work/bochsrc" > /dev/null 2>&1 &
emulator=$!
tail -f --pid="$emulator" "$root$work/output" | sed -u 's/\r//' &
wait "$emulator" || true
emulator=''
wait
if ! grep -q '^gan_tests: exit' "$root$work/output"; then
  tail -n 20 "$root$work/log" >&2
  echo "the emulated system ended before the tests did" >&2
  exit 4
fi
grep -q '^gan_tests: exit 0' "$root$work/output" && grep -q '^\[  PASSED  \] [1-9]' "$root$work/output"
