#!/usr/bin/env bash
# Makes the packages of the release build in build/packages: four .deb for the Debian that this is run on (program,
# library, development files, the module for MPI), and gan-VERSION-linux-x86_64.tar.gz, which runs on this Debian and newer systems without
# being installed: the program, the libraries it needs but the C library, and licences.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/deps.sh --package
cmake --preset release -D GAN_MPI=ON > /dev/null
cmake --build --preset release -j "$(nproc)"
build=$PWD/build/release out=$PWD/build/packages
rm -rf "$out"
mkdir -p "$out"

echo "== Debian packages"
(cd "$build" && cpack -G DEB -B "$out" > "$out/log") || { cat "$out/log" >&2; exit 4; }
rm -rf "$out/_CPack_Packages" "$out/log"

echo "== portable archive"
name=gan-$(sed -n 's/^CMAKE_PROJECT_VERSION:STATIC=//p' "$build/CMakeCache.txt")-linux-x86_64
stage=$out/$name
cmake --install "$build" --component program --strip --prefix "$stage" > /dev/null
mv "$stage/share/doc/gan/licences" "$stage/licences"
rm -r "$stage/share/doc"
cp README.md CHANGELOG.md LICENSE docs/licences.md "$stage"

# The C library and the loader are the system's; all else comes along, with the licences of Debian's packages.
mapfile -t libraries < <(ldd "$build/gan" | awk '$2 == "=>" && $3 ~ /^\// {print $3}' |
  grep -vE '/(libc|libm|libdl|librt|libpthread|libresolv)\.so\.')
mkdir "$stage/lib"
cp --dereference "${libraries[@]}" "$stage/lib"
strip --strip-unneeded "$stage"/lib/*
for library in "${libraries[@]}"; do
  # Debian's lists of files may call /usr/lib /lib.
  real=$(realpath "$library")
  package=$(dpkg-query --search "$real" "${real#/usr}" 2> /dev/null | sed -n '1s/:.*//p') || true
  [[ -n "$package" ]] || { echo "$library is of no Debian package: its licence is unknown" >&2; exit 3; }
  cp --dereference "/usr/share/doc/$package/copyright" "$stage/licences/$package.txt"
done
cp "$build/libgan_mpi.so" "$stage/lib"  # takes the MPI of the system, if it is asked for
strip --strip-unneeded "$stage/lib/libgan_mpi.so"
tar --create --gzip --file "$out/$name.tar.gz" --directory "$out" --sort=name --owner=0 --group=0 --numeric-owner "$name"
rm -rf "$stage"
ls -l "$out"
