#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Run by the feed's CI: test.sh PACKAGE VERSION

[ "$1" = wgsteer ] || exit 0
wgsteer version | grep -F "$2"
