#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# package_test.sh BUILD: the Debian package of this build folder: its contents, and checks with Debian's own tools.
set -euo pipefail
build=$1
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

skip() {
  echo "SKIPPED: $*"
  [[ ${CI:-} != true ]] || exit 1
  exit 77
}
fail() {
  echo "FAILED: $*"
  exit 1
}
for tool in cpack lintian dpkg-deb systemd-analyze man zsh; do
  command -v "$tool" >/dev/null || skip "no $tool"
done

# ---- Build, and lintian ----------------------------------------------------------------------------------------------

(cd "$work" && cpack -G DEB --config "$build/CPackConfig.cmake" -B "$work/out" >"$work/cpack.log") ||
  { cat "$work/cpack.log" && fail 'cpack'; }
package=$(echo "$work"/out/*.deb)
echo "$(basename "$package"), $(($(stat -c %s "$package") / 1024)) KiB"
(cd "$work" && cpack -G DEB --config "$build/CPackConfig.cmake" -B "$work/again" >/dev/null)
cmp "$package" "$work/again/$(basename "$package")" || fail 'the build of the package is not reproducible'
lintian --allow-root --fail-on error "$package" || fail 'lintian'
dpkg-deb --extract "$package" "$work/root"

expected=(usr/sbin/wgsteer usr/lib/systemd/system/wgsteer.service usr/lib/systemd/networkd.conf.d/50-wgsteer.conf
  etc/iproute2/rt_tables.d/wgsteer.conf etc/iproute2/rt_protos.d/wgsteer.conf
  usr/share/bash-completion/completions/wgsteer usr/share/zsh/vendor-completions/_wgsteer usr/share/man/man8/wgsteer.8.gz
  usr/share/man/man5/wgsteer.toml.5.gz usr/share/doc/wgsteer/wgsteer.toml usr/share/doc/wgsteer/copyright
  usr/share/doc/wgsteer/changelog.gz usr/share/doc/wgsteer/CHANGELOG.md.gz)
for file in "${expected[@]}"; do [[ -f $work/root/$file ]] || fail "not in the package: $file"; done
diff <(printf '%s\n' "${expected[@]}" | sort) <(cd "$work/root" && find . -type f -printf '%P\n' | sort) ||
  fail 'the package contains other files'
"$work/root/usr/sbin/wgsteer" version || fail 'the program does not run'
dpkg-deb --field "$package" Depends | grep -q 'libmnl0' || fail 'the package does not depend on its libraries'

# wireguard-tools recommends a kernel package, so a dependency on it would install one.
dpkg-deb --field "$package" Depends Recommends | grep -q wireguard-tools &&
  fail 'the package would pull in wireguard-tools'

# ---- systemd ----------------------------------------------------------------------------------------------------------

unit=$work/root/usr/lib/systemd/system/wgsteer.service
grep -q '^ExecStart=/usr/sbin/wgsteer run$' "$unit" || fail "$(grep ExecStart "$unit")"
# Verify a modified copy: with --root, systemd-analyze would also need all other units there. The program must exist at
# the given path, and the manual pages must be installed.
sed "s#/usr/sbin/#$work/root/usr/sbin/#; /^Documentation=/d" "$unit" >"$work/wgsteer.service"
systemd-analyze verify "$work/wgsteer.service" || fail 'systemd-analyze verify'
# The threshold is in tenths.
systemd-analyze security --offline=true --threshold=21 --no-pager "$unit" >"$work/security" ||
  { cat "$work/security" && fail 'exposed more than 2.1'; }
tail -n 1 "$work/security"

# ---- Pages, names, completion -----------------------------------------------------------------------------------------

for page in "$work"/root/usr/share/man/man?/*.gz; do
  warnings=$(man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null)
  [[ -z $warnings ]] || fail "$page: $warnings"
done
verbs=$("$work/root/usr/sbin/wgsteer" --help | sed -n 's/^  \([a-z]*\) .*/\1/p')
for verb in $verbs; do
  grep -q "^\.B[IR]* \(\"\)\?$verb" "$root/docs/wgsteer.8" || fail "wgsteer(8) does not describe $verb"
done

export named=$work/root/etc/iproute2
# Expanded inside.
# shellcheck disable=SC2016
rules=$(unshare --net --mount bash -ec '
  for folder in rt_tables.d rt_protos.d; do
    [[ -d /etc/iproute2/$folder ]] || { mount -t tmpfs none /etc/iproute2 && break; }
  done
  mkdir -p /etc/iproute2/rt_tables.d /etc/iproute2/rt_protos.d
  for folder in rt_tables.d rt_protos.d; do mount --bind "$named/$folder" "/etc/iproute2/$folder"; done
  ip rule add priority 70 fwmark 0xf0000000/0xf0000000 lookup 1464271119 protocol 87
  ip rule show')
grep -q 'lookup wgsteer-policy-15 proto wgsteer' <<<"$rules" || fail "ip rule: $rules"

export PATH=$work/root/usr/sbin:$PATH
completed() { # WORD... -> bash's completions of the last word
  # Expanded by the inner shell.
  # shellcheck disable=SC2016
  bash -c 'source "$1"; shift; COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _wgsteer; printf "%s\n" "${COMPREPLY[@]}"' \
    completion "$work/root/usr/share/bash-completion/completions/wgsteer" "$@" | sort | tr '\n' ' '
}
[[ $(completed wgsteer st) == 'status ' ]] || fail "completion of a verb: $(completed wgsteer st)"
[[ $(completed wgsteer status --w) == '--watch ' ]] || fail "completion of an option: $(completed wgsteer status --w)"
[[ $(completed wgsteer wan fiber d) == 'down ' ]] || fail "completion of an argument: $(completed wgsteer wan fiber d)"
[[ $(completed wgsteer import --to t) == 'toml ' ]] || fail "completion of a value: $(completed wgsteer import --to t)"
zsh -n "$work/root/usr/share/zsh/vendor-completions/_wgsteer" || fail 'zsh completion'
echo passed
