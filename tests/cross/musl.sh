#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Compiles our sources against musl's headers, with warnings as errors. Debian has no C++ library for musl, so this only
# checks syntax, with LLVM's C++ headers, which support musl; nothing is linked.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=../support/packages.sh
source tests/support/packages.sh

install_missing "${kBuildPackages[@]}" clang-19 libc++-19-dev musl-dev linux-libc-dev
readonly llvm=/usr/lib/llvm-19
musl=$(dpkg-query --listfiles musl-dev | grep '/include/.*musl$')
include=$(mktemp -d)
trap 'rm -rf "$include"' EXIT

# These headers do not depend on the C library. Link them one by one, because their folder also has glibc's headers.
host=/usr/include/$(gcc -print-multiarch)
ln -s /usr/include/{libmnl,libnftnl,nlohmann,fmt,linux,asm-generic} "$host/asm" "$include"
for header in /usr/include/ares*.h "$host"/ares*.h; do
  [[ ! -f $header ]] || ln -s "$header" "$include"
done

options=(
  "--target=$(uname -m)-linux-musl" -std=c++23 -fsyntax-only -D_LIBCPP_HAS_MUSL_LIBC -nostdinc -nostdinc++
  -isystem "$llvm/include/c++/v1" -isystem "$llvm/lib/clang/19/include" -isystem "$musl" -isystem "$include"
  -Iinclude -Isrc '-DWGSTEER_VERSION="0"'
  # The warnings of the GCC build; additional warnings of clang have nothing to do with musl.
  -Werror -Wall -Wextra -Wconversion -Wsign-conversion -Wno-missing-field-initializers
)
# Without the parts that builds for small routers omit.
find src -name '*.cpp' -not -name toml.cpp -not -name spdlog_backend.cpp -print0 |
  xargs -0 -n 1 -P "$(nproc)" clang++-19 "${options[@]}"
echo 'compiled against musl'
