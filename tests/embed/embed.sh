#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# embed.sh BUILD COMPILER CMAKE [SANITIZER...]: installs the library and its headers, then builds and runs embed.cpp.
set -eu
build=$1 compiler=$2 cmake=$3
shift 3
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$cmake" --install "$build" --component dev --prefix "$folder/usr" >"$folder/log"
PKG_CONFIG_PATH=$(dirname "$(find "$folder/usr" -name wgsteer-core.pc)")
export PKG_CONFIG_PATH
read -ra flags < <(pkg-config --cflags --libs wgsteer-core)
for sanitizer; do flags+=("-fsanitize=$sanitizer"); done
"$compiler" -std=c++23 -Wall -Wextra -Wno-missing-field-initializers "$(dirname "$0")/embed.cpp" "${flags[@]}" -o "$folder/embed"
"$folder/embed" | tee "$folder/out"
grep -q '^ip route add default via 192.0.2.1 dev wan0 .*table ' "$folder/out"
grep -q '^wg set wg0 fwmark 0xf0000000$' "$folder/out"
grep -q '^203.0.113.55:51820 left by wg0, and leaves by wan0 now$' "$folder/out"
