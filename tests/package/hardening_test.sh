#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Release builds have hardening flags and never weaken those of a distribution. Nothing is built.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
  echo "FAILED: $*"
  exit 1
}

flags() { # CXXFLAGS -> the command that would compile main.cpp
  rm -rf "$work/build"
  cmake -S "$root" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS="$1" \
    >"$work/log" 2>&1 || { cat "$work/log" >&2 && return 1; }
  sed -n 's/.*"command": "\(.*src\/cli\/main\.cpp\)".*/\1/p' "$work/build/compile_commands.json"
}

has() { [[ " $1 " == *" $2 "* ]] || fail "without $2: $1"; }
lacks() { [[ $1 != *"$2"* ]] || fail "with $2: $1"; }

command=$(flags '')
has "$command" -D_FORTIFY_SOURCE=2
has "$command" -fstack-protector-strong

command=$(flags '-D_FORTIFY_SOURCE=3 -fstack-protector-all')
has "$command" -D_FORTIFY_SOURCE=3
lacks "$command" _FORTIFY_SOURCE=2
lacks "$command" -U_FORTIFY_SOURCE
lacks "$command" -fstack-protector-strong

command=$(flags '-fstack-protector')
has "$command" -fstack-protector-strong
echo passed
