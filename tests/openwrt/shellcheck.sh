#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Checks all shell scripts of the package and of its tests.

# shellcheck source=tests/openwrt/lib.sh
. "$(dirname "$0")/lib.sh"
command -v shellcheck > /dev/null || skip "no shellcheck"
cd "$here/../.."
shellcheck -x -s dash openwrt/wgsteer/test.sh openwrt/wgsteer/files/*.init openwrt/wgsteer/files/*.hotplug \
	openwrt/wgsteer/files/*.defaults openwrt/wgsteer/files/*.rpcd openwrt/wgsteer/files/*.sh
shellcheck -x -s dash tests/openwrt/*.sh tests/openwrt/imitation/*
