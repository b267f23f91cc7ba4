#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The rpcd plugin: its methods, their results, and errors as JSON.

# shellcheck source=tests/openwrt/lib.sh
. "$(dirname "$0")/lib.sh"
makeRoot
plugin=/usr/libexec/rpcd/wgsteer

expect "list" "$(inside "$plugin list")" '{"status":{}}'
expect "status" "$(echo '{}' | inside "$plugin call status")" '{"wans":[]}'
echo once > "$root/tmp/failures"
expect "a failure" "$(echo '{}' | inside "$plugin call status")" '{"error":"wgsteer status: it does not work"}'
printf '%s\n' 'file:3: "a\x1b" is no name' 'file:7: neither' > "$root/tmp/why"
echo once > "$root/tmp/failures"
expect "error output with special characters" \
  "$(echo '{}' | inside "$plugin call status")" '{"error":"file:3: \"a\\x1b\" is no name\nfile:7: neither"}'
: > "$root/tmp/why"
echo once > "$root/tmp/failures"
expect "a failure without error output" \
  "$(echo '{}' | inside "$plugin call status")" '{"error":"wgsteer status failed"}'
rm "$root/tmp/why"
if echo '{}' | inside "$plugin call flush"; then fail "flush is accepted as a method"; fi
if inside "$plugin"; then fail "it succeeds without arguments"; fi
expect "its calls of wgsteer" "$(told | sort -u)" "wgsteer status --json"

# After installation, rpcd must be reloaded once to find the plugin.
put "$files/wgsteer.defaults" etc/uci-defaults/90-wgsteer 755
inside /etc/uci-defaults/90-wgsteer || fail "uci-defaults fails without rpcd, so it would run at every boot"
# shellcheck disable=SC2016
printf '#!/bin/sh\necho "rpcd $*" >> /tmp/log\n' > "$root/etc/init.d/rpcd"
chmod +x "$root/etc/init.d/rpcd"
inside /etc/uci-defaults/90-wgsteer || fail "uci-defaults fails, so it would run at every boot"
expect "uci-defaults" "$(told)" "rpcd reload"
