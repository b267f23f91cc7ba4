#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# run.sh RELEASE...: tests on other Debian releases ("trixie", "forky"), as a new user would: in a bare root with the
# packages that README.md lists, and with the release's own compiler and nft. Builds, installs and purges the package,
# and runs the tests that need only a network namespace. Needs root, debootstrap and a mirror; takes about twenty
# minutes per release on two cores.
#
# Environment: WGSTEER_MIRROR; WGSTEER_CXX, a compiler and its package ("clang++-19 clang-19"); WGSTEER_RELEASE_ROOTS, a
# folder that keeps the roots for the next run; WGSTEER_RELEASE_TESTS, a subset of the tests ("core nft"); DEBOOTSTRAP,
# the debootstrap program.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
root=$PWD
mirror=${WGSTEER_MIRROR:-http://deb.debian.org/debian}
debootstrap=${DEBOOTSTRAP:-debootstrap}
read -r compiler compiler_package <<<"${WGSTEER_CXX:-c++}"
read -ra tests <<<"${WGSTEER_RELEASE_TESTS:-core os log cli config golden netlink nft}"
work=''

skip() {
  echo "SKIPPED: $*"
  [[ ${CI:-} != true ]] || exit 1
  exit 77
}

fail() {
  echo "FAILED: $*"
  exit 1
}

# The packages that README.md says to install, so that a package missing there causes a failure here.
told_packages() {
  sed -n '/sudo apt install g++/,/[^\\]$/ s/\\*$//p' README.md | sed 's/.*apt install//' | xargs -n 1
}

# Runs a command in the root, with the sources at /src, read-only.
within() { # FOLDER COMMAND...
  # Expanded inside.
  # shellcheck disable=SC2016
  unshare --mount --pid --fork --kill-child --propagation private bash -ec '
    mount -t proc proc "$1/proc"
    mount --rbind /sys "$1/sys"
    [[ -c $1/dev/null ]] || mount --rbind /dev "$1/dev"
    mkdir -p "$1/src"
    mount --bind "$2" "$1/src"
    mount -o remount,bind,ro "$1/src"
    exec chroot "$1" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "${@:3}"
  ' within "$1" "$root" "${@:2}"
}

make_root() { # RELEASE FOLDER
  local script=$1 made=$2 packages
  mapfile -t packages < <(told_packages)
  if [[ ! -e $made/ready ]]; then
    rm -rf "$made"
    # For a release that debootstrap does not know yet, use the script of unstable.
    [[ -e ${DEBOOTSTRAP_DIR:-/usr/share/debootstrap}/scripts/$1 ]] || script=sid
    "$debootstrap" --variant=minbase "$1" "$made" "$mirror" "${DEBOOTSTRAP_DIR:-/usr/share/debootstrap}/scripts/$script" \
      >"$work/debootstrap.log" 2>&1 || { tail -n 20 "$work/debootstrap.log" && skip "debootstrap $1 does not work here"; }
    within "$made" apt-get update -qq
    touch "$made/ready"
  fi
  within "$made" apt-get install -qq -y --no-install-recommends "${packages[@]}" ${compiler_package:+"$compiler_package"} \
    libgtest-dev libgmock-dev libnl-3-dev libnl-genl-3-dev libnl-route-3-dev iproute2 nftables iptables python3 \
    >"$work/apt.log" 2>&1 || { tail -n 20 "$work/apt.log" && fail "$1: packages"; }
}

built() { # RELEASE FOLDER TARGET...
  within "$2" nice -n 10 cmake --build /build -j "${JOBS:-2}" --target "${@:3}" >"$work/build.log" 2>&1 ||
    { grep -A 20 -m 1 FAILED "$work/build.log" && fail "$1: build"; }
}

configured() { # RELEASE FOLDER OPTION...
  within "$2" cmake -S /src -B /build -G Ninja -DWGSTEER_WERROR=ON -DCMAKE_CXX_COMPILER="$compiler" "${@:3}" \
    >"$work/cmake.log" 2>&1 || { cat "$work/cmake.log" && fail "$1: cmake"; }
}

# As described in README.md.
package_in() { # RELEASE FOLDER
  configured "$1" "$2" -DWGSTEER_TESTS=OFF
  built "$1" "$2" all
  # shellcheck disable=SC2016
  within "$2" bash -ec '
    cd /build && rm -f *.deb && cpack -G DEB >/dev/null
    files=(*.deb)
    ((${#files[@]} == 1)) || { echo "packages: ${files[*]}"; exit 1; }
    apt-get install -qq -y --no-install-recommends ./*.deb >/dev/null
    wgsteer version
    test -f /usr/lib/systemd/system/wgsteer.service
    getent group wgsteer
    dpkg --purge wgsteer >/dev/null
    ! getent group wgsteer
    test ! -e /usr/sbin/wgsteer' || fail "$1: package"
}

tests_in() { # RELEASE FOLDER
  local pattern
  pattern=$(IFS='|' && echo "^(${tests[*]})\$")
  configured "$1" "$2" -DWGSTEER_TESTS=ON
  built "$1" "$2" "${tests[@]/%/_test}"
  within "$2" unshare --net ctest --test-dir /build -R "$pattern" --output-on-failure --no-tests=error ||
    fail "$1: tests"
}

try() { # RELEASE
  local made=${WGSTEER_RELEASE_ROOTS:-$work}/$1
  echo "--- $1"
  make_root "$1" "$made"
  within "$made" "$compiler" --version | head -n 1
  within "$made" nft --version
  package_in "$1" "$made"
  tests_in "$1" "$made"
}

((EUID == 0)) || skip 'needs root'
command -v "$debootstrap" >/dev/null || skip "no $debootstrap"
work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
for release in "$@"; do try "$release"; done
echo passed
