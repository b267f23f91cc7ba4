#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# run.sh [FOLDER]: builds the daemon as for a small router, for big-endian 32-bit MIPS; prints its size, and runs the
# tests that need no kernel under qemu. FOLDER (default: build-cross) keeps what has been built.
#
# Debian has no libraries for this architecture. The daemon links shared libraries, for which the linker only needs the
# symbol names: each is replaced by a stub with the same symbols. The tests that run here do not call them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=../support/packages.sh
source tests/support/packages.sh

readonly kTriplet=mips-linux-gnu
folder=$(realpath -m "${1:-build-cross}")
prefix=$folder/prefix

stand_in() { # PKG-CONFIG-PACKAGE
  local library path
  # The first library in the list is the package's own.
  library=$(pkg-config --libs-only-l "$1")
  library=${library%% *} library=${library#-l} library=${library%"${library##*[![:space:]]}"}
  path=$(g++ -print-file-name="lib$library.so")
  nm --dynamic --defined-only --extern-only "$path" | awk '
    { sub(/@.*/, "", $3) }
    $2 ~ /^[TW]$/ { print ".globl " $3 "\n.type " $3 ", @function\n" $3 ": nop" }
    $2 ~ /^[BDRV]$/ { print ".globl " $3 "\n.type " $3 ", @object\n.size " $3 ", 4\n" $3 ": .word 0" }' >"$folder/$library.s"
  "$kTriplet-gcc" -shared -nostdlib -Wl,-soname,"$(basename "$(readlink -f "$path")")" -o "$prefix/lib/lib$library.so" "$folder/$library.s"
  printf 'Name: %s\nDescription: stands in\nVersion: %s\nLibs: -L%s -l%s\nCflags: -I%s\n' \
    "$1" "$(pkg-config --modversion "$1")" "$prefix/lib" "$library" "$prefix/include" >"$prefix/lib/pkgconfig/$1.pc"
}

# These headers do not depend on the architecture. Link them one by one, because their folder also has glibc's, which
# do.
headers() {
  local header
  for header in libmnl libnftnl nlohmann fmt; do
    ln -sfn "/usr/include/$header" "$prefix/include/$header"
  done
  for header in /usr/include/ares*.h /usr/include/"$(gcc -print-multiarch)"/ares*.h; do
    [[ ! -f $header ]] || ln -sf "$header" "$prefix/include/"
  done
  printf 'Name: nlohmann_json\nDescription: headers\nVersion: %s\nCflags: -I%s\n' \
    "$(pkg-config --modversion nlohmann_json)" "$prefix/include" >"$prefix/lib/pkgconfig/nlohmann_json.pc"
}

toolchain() {
  cat <<TOOLCHAIN
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR mips)
set(CMAKE_C_COMPILER $kTriplet-gcc)
set(CMAKE_CXX_COMPILER $kTriplet-g++)
set(CMAKE_FIND_ROOT_PATH $prefix /usr/$kTriplet)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE BOTH)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-mips-static;-L;/usr/$kTriplet)
TOOLCHAIN
}

configure() { # SOURCE FOLDER OPTIONS...
  local source=$1 into=$2 launcher=()
  shift 2
  ! command -v ccache >/dev/null || launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  PKG_CONFIG_LIBDIR=$prefix/lib/pkgconfig cmake -S "$source" -B "$into" -G Ninja --log-level=WARNING \
    "-DCMAKE_TOOLCHAIN_FILE=$folder/mips.cmake" "-DCMAKE_PREFIX_PATH=$prefix" "${launcher[@]}" "$@"
}

googletest_built() {
  [[ ! -f $prefix/lib/libgtest.a ]] || return 0
  configure /usr/src/googletest "$folder/googletest" -DCMAKE_BUILD_TYPE=Release -DBUILD_GMOCK=OFF "-DCMAKE_INSTALL_PREFIX=$prefix"
  cmake --build "$folder/googletest" --target install >/dev/null
}

daemon_built() {
  configure . "$folder/daemon" -DCMAKE_BUILD_TYPE=Release -DWGSTEER_LOG=syslog -DWGSTEER_TOML=OFF -DWGSTEER_WERROR=ON \
    -DCMAKE_INTERPROCEDURAL_OPTIMIZATION=ON '-DCMAKE_EXE_LINKER_FLAGS=-static-libstdc++ -static-libgcc'
  cmake --build "$folder/daemon" --target wgsteer
  "$kTriplet-strip" -o "$folder/wgsteer" "$folder/daemon/wgsteer"
}

tests_pass() {
  local test
  configure . "$folder/tests" -DCMAKE_BUILD_TYPE=RelWithDebInfo -DWGSTEER_LOG=syslog -DWGSTEER_TOML=OFF -DWGSTEER_WERROR=ON \
    -DWGSTEER_TESTS=ON
  cmake --build "$folder/tests" --target core_test uci_test
  for test in core/core_test config/uci_test; do
    qemu-mips-static -L "/usr/$kTriplet" "$folder/tests/tests/$test" --gtest_brief=1
  done
}

install_missing "${kBuildPackages[@]}" xz-utils g++-mips-linux-gnu qemu-user-static libgtest-dev libnl-3-dev libnl-genl-3-dev libnl-route-3-dev
mkdir -p "$prefix"/{include,lib/pkgconfig}
for package in libmnl libnftnl libcares libnl-3.0 libnl-genl-3.0 libnl-route-3.0; do
  stand_in "$package"
done
headers
toolchain >"$folder/mips.cmake"
[[ ${ONLY:-} == tests ]] || {
  daemon_built
  echo 'The largest functions, in bytes:'
  "$kTriplet-nm" --size-sort --radix=d -C -r "$folder/daemon/wgsteer" | awk 'NR <= 25 { print substr($0, 1, 150) }'
  echo "stripped: $(stat --format %s "$folder/wgsteer") bytes"
  # Like the squashfs of an OpenWrt image, in blocks of 256 KiB.
  echo "compressed: $(xz -9e --block-size=256KiB --stdout "$folder/wgsteer" | wc -c) bytes"
}
googletest_built
tests_pass
