#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# package.sh WGSTEER: the files that the package installs exist, and wgsteer accepts the packaged configuration.

# shellcheck source=tests/openwrt/lib.sh
. "$(dirname "$0")/lib.sh"
wgsteer=$1
cd "$files/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sed -n 's|.* \./\(files/[^ ]*\) .*|\1|p' Makefile > "$work/installed"
[ -s "$work/installed" ] || fail "the Makefile installs nothing"
while read -r file; do
	[ -s "$file" ] || fail "the Makefile installs $file, which does not exist"
done < "$work/installed"
for file in files/*; do
	grep -q "\./$file " Makefile || fail "the Makefile does not install $file"
done
expect "the version" "$(sed -n 's/^PKG_VERSION:=//p' Makefile)" "$("$wgsteer" version | grep -o '[0-9][0-9.]*' | head -1)"

# A change to the sources must cause a rebuild of the package.
for part in CMakeLists.txt CHANGELOG.md LICENSE docs include src; do
	made wgsteer PKG_FILE_DEPENDS | tr ' ' '\n' | grep -qx "$(realpath "../../$part")" ||
		fail "a change in $part does not cause a rebuild"
done
maintainer="the wgsteer authors <wgsteer@wgsteer.org>"
expect "the maintainer" "$(made wgsteer PKG_MAINTAINER)" "$maintainer"
# luci.mk sets both to OpenWrt's own values unless they are set before it is included.
expect "the maintainer of the pages" "$(made luci-app-wgsteer LUCI_MAINTAINER)" "$maintainer"
expect "the URL of the pages" "$(made luci-app-wgsteer LUCI_URL)" "https://wgsteer.org/"
expect "the URL of the daemon" "$(sed -n 's/^  URL:=//p' Makefile)" "https://wgsteer.org/"
luci=../luci-app-wgsteer/Makefile
[ "$(grep -n '^LUCI_URL:=' "$luci" | cut -d: -f1)" -lt "$(grep -n '^include .*luci\.mk$' "$luci" | cut -d: -f1)" ] ||
	fail "luci.mk is included before LUCI_URL is set"

# Commented-out options and sections must be valid when uncommented.
sed 's/^\(\t*\)#\(option\|list\|config\) /\1\2 /' files/wgsteer.config > "$work/all"
for file in files/wgsteer.config "$work/all"; do
	if said=$("$wgsteer" plan -c "$file" 2>&1); then continue; fi
	# Without privileges, plan fails, but only after it has read the configuration.
	case "$said" in *"$file:"*) fail "$said" ;; esac
done
sed 's/interval/intervall/' "$work/all" > "$work/wrong"
case "$("$wgsteer" plan -c "$work/wrong" 2>&1)" in
	*"$work/wrong:"*"did you mean 'interval'?"*) ;;
	*) fail "a misspelled option is not reported" ;;
esac
command -v python3 > /dev/null || exit 0
python3 -m json.tool files/wgsteer.acl.json > /dev/null
