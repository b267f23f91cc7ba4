#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Builds the Debian package of a build folder, and a copy with the next version, for the tests under a real systemd.
#
#   package.sh BUILD-FOLDER DESTINATION-FOLDER      -> first.deb, next.deb
set -euo pipefail
build=$1 destination=$2
work=$(mktemp -d "${TMPDIR:-/tmp}/wgsteer-package.XXXXXX")
trap 'rm -rf "$work"' EXIT

(cd "$work" && cpack -G DEB --config "$build/CPackConfig.cmake" -B "$work/out" >cpack.log 2>&1) || {
  cat "$work/cpack.log"
  exit 1
}
mkdir -p "$destination"
mv "$work"/out/*.deb "$destination/first.deb"
dpkg-deb --raw-extract "$destination/first.deb" "$work/next"
sed -i 's/^Version: .*/&+next/' "$work/next/DEBIAN/control"
dpkg-deb --build --root-owner-group "$work/next" "$destination/next.deb" >/dev/null
