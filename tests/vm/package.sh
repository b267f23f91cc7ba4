#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Makes the Debian package of a build folder, and one of the next version, and tries both under a real systemd.
#
#   package.sh BUILD-FOLDER [ARGUMENTS OF run.sh]...
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=$1
shift
work=$(mktemp -d "${TMPDIR:-/tmp}/wgsteer-package.XXXXXX")
trap 'rm -rf "$work"' EXIT

(cd "$work" && cpack -G DEB --config "$build/CPackConfig.cmake" -B "$work/out" >cpack.log 2>&1) || {
  cat "$work/cpack.log"
  exit 1
}
mv "$work"/out/*.deb "$work/first.deb"
dpkg-deb --raw-extract "$work/first.deb" "$work/next"
sed -i 's/^Version: .*/&+next/' "$work/next/DEBIAN/control"
dpkg-deb --build --root-owner-group "$work/next" "$work/next.deb" >/dev/null
"$here/run.sh" --system --only v4 --file "$work/first.deb" --file "$work/next.deb" "$@" "$here/cases/package.sh"
