#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Builds for release into build-bench and runs every benchmark, each in network namespaces of its own, as root. Prints one
# table; a whole run, in which nothing failed, writes it with two charts as docs/benchmarks.md. bench/README.md says what
# its numbers mean.
#
#   bench/run.sh [--json FILE] [--quick] [--only NAME] [--built FOLDER]
#
#   --json FILE     the same as JSON; default: bench.json in the build folder
#   --quick         a few turns of everything, to see that it works: the numbers mean little
#   --only NAME     one benchmark; a wrong name lists them
#   --built FOLDER  take the programs of this build, build nothing
#
# Exit: 0 everything was measured (whatever the verdicts), 1 something could not be, 64 usage, 77 cannot run here.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

usage() {
  sed -n '4,15s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
  exit 64
}

folder='' json=''
arguments=() report=(--report "$root/docs")
while (($#)); do
  case $1 in
    --json) json=${2:?--json FILE} && shift 2 ;;
    --only) arguments+=(--only "${2:?--only NAME}") && report=() && shift 2 ;;
    --built) folder=${2:?--built FOLDER} && shift 2 ;;
    --quick) arguments+=(--quick) && report=() && shift ;;
    *) usage ;;
  esac
done

build() {
  local launcher=()
  ! command -v ccache >/dev/null || launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  cmake -S "$root" -B "$folder" -G Ninja "${launcher[@]}" -DCMAKE_BUILD_TYPE=Release -DWGSTEER_BENCH=ON >/dev/null
  cmake --build "$folder" --target wgsteer wgsteer_bench wgsteer_bench_bare >&2
}

if [[ -z $folder ]]; then
  folder=$root/build-bench
  build
fi

as_root=()
((EUID == 0)) || as_root=(sudo)
exec "${as_root[@]}" "$folder/bench/wgsteer_bench" --daemon "$folder/wgsteer" --bare "$folder/bench/wgsteer_bench_bare" \
  --json "${json:-$folder/bench.json}" "${report[@]}" "${arguments[@]}"
