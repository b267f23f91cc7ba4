#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The rpcd plugin: methods, their answers, errors as JSON.

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
expect "whatever is said" "$(echo '{}' | inside "$plugin call status")" '{"error":"file:3: \"a\\x1b\" is no name\nfile:7: neither"}'
: > "$root/tmp/why"
echo once > "$root/tmp/failures"
expect "nothing is said" "$(echo '{}' | inside "$plugin call status")" '{"error":"wgsteer status failed"}'
rm "$root/tmp/why"
if echo '{}' | inside "$plugin call flush"; then fail "flush is no method"; fi
if inside "$plugin"; then fail "no call is no call"; fi
expect "what it asked" "$(told | sort -u)" "wgsteer status --json"

# Once, after installation: rpcd has to look for it.
put "$files/wgsteer.defaults" etc/uci-defaults/90-wgsteer 755
inside /etc/uci-defaults/90-wgsteer || fail "without rpcd, uci-defaults must succeed, or it stays for ever"
# shellcheck disable=SC2016
printf '#!/bin/sh\necho "rpcd $*" >> /tmp/log\n' > "$root/etc/init.d/rpcd"
chmod +x "$root/etc/init.d/rpcd"
inside /etc/uci-defaults/90-wgsteer || fail "uci-defaults must succeed, or it stays for ever"
expect "uci-defaults" "$(told)" "rpcd reload"
