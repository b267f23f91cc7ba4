#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Installs missing packages, builds, and runs every test. ctest's summary comes last; other failures are listed before
# it.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
# shellcheck source=support/packages.sh
source tests/support/packages.sh

failed=()

stage() { # NAME COMMAND...
  local name=$1
  shift
  echo "=== $name"
  "$@" || {
    failed+=("$name")
    echo "=== $name: FAILED"
    return 1
  }
}

build() { # FOLDER OPTIONS...
  local folder=$1 launcher=()
  shift
  ! command -v ccache >/dev/null || launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  cmake -B "$folder" -G Ninja "${launcher[@]}" -DWGSTEER_TESTS=ON -DWGSTEER_WERROR=ON "$@" &&
    cmake --build "$folder"
}

files() { find . -type f -not -path './.git/*' -not -path './build*' "$@"; }

sources() { files '(' -name '*.cpp' -o -name '*.hpp' ')'; }

scripts() {
  files -exec grep -lE '^(#!.*\<(bash|sh)$|# shellcheck shell=)' {} +
}

formatted() { sources | xargs -r clang-format-19 --dry-run --Werror; }

shellchecked() { scripts | xargs -r shellcheck -x -P SCRIPTDIR; }

# Not the tests: cppcheck cannot parse GoogleTest's macros.
analysed() {
  cppcheck --quiet --enable=warning,performance,portability --std=c++20 --language=c++ --inline-suppr --error-exitcode=1 \
    -j2 -I include -I src src bench
}

# What decides, without the analyzer, which takes three times as long.
tidied() {
  printf '%s\n' src/core/*.cpp src/engine/*.cpp |
    xargs -P "$(nproc)" -n 1 clang-tidy-19 -p build-test --quiet '--checks=-clang-analyzer-*'
}

stage 'packages' install_missing "${kBuildPackages[@]}" "${kTestPackages[@]}"
stage 'build' build build-test -DCMAKE_BUILD_TYPE=RelWithDebInfo
stage 'clang-format' formatted
stage 'shellcheck' shellchecked
stage 'cppcheck' analysed
stage 'clang-tidy' tidied
if stage 'build with sanitizers' build build-asan -DCMAKE_BUILD_TYPE=Debug '-DWGSTEER_SANITIZE=address;undefined'; then
  stage 'tests with sanitizers' ctest --test-dir build-asan -L 'core|golden|wire|kernel|fuzz' --output-on-failure -j2
fi

# Emulators take all the time that they get and give way to everything else; worlds of network namespaces measure real
# time, but mostly wait. So both run at once, and of each as many as there is room for.
all_tests() {
  local room=$PWD/build-test/room.json
  printf '{"version": {"major": 1, "minor": 0}, "local": [{%s, %s}]}\n' \
    "\"emulators\": [{\"id\": \"0\", \"slots\": $(nproc)}]" '"worlds": [{"id": "0", "slots": 2}]' >"$room"
  ctest --test-dir build-test --output-on-failure --no-tests=error --resource-spec-file "$room" -j "$(($(nproc) + 2))"
}

if ((${#failed[@]})); then
  printf '=== FAILED before the tests: %s\n' "${failed[@]}"
fi
echo '=== tests'
all_tests || failed+=('tests')
((${#failed[@]} == 0))
