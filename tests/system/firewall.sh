#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# `check` names a firewall that blocks a tunnel, and does not complain about one that does not.
set -u
# shellcheck source=../support/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/cases.sh"

late_chain() {
  router nft -f - <<'RULES'
table inet late {
  chain out { type route hook output priority 0; meta mark set 0; }
}
RULES
}

# A reverse path filter: firewalld's (filter + 10, with the mark), or one that ignores the mark.
path_filter() { # [MARK]
  router nft -f - <<RULES
table inet paths {
  chain pre { type filter hook prerouting priority 10; fib saddr ${1:+. $1 }. iif oif missing drop; }
}
RULES
}

# Whether half a second passes without an answer to its 25 requests.
no_traffic() {
  local before
  before=$(answers)
  read -rt 0.5 -u "$never" || true
  (($(answers) == before))
}

problems() { # -> the findings of `check`, without advice
  wgsteer check | grep -E '^(problem|conflict): ' || true
}

case_a_mark_that_is_cleared() {
  steered_tunnel_up
  equal 'check without the chain' 0 "$(code_of wgsteer check)"
  late_chain
  await 10 'traffic has stopped' no_traffic
  equal 'check fails' 2 "$(code_of wgsteer check)"
  check 'check names the chain and rule' \
    has_line '^problem: table inet late, chain out \(output, priority 0\): "meta mark set 0x0"' \
    wgsteer check
  router nft delete table inet late
  equal 'check after its removal' 0 "$(code_of wgsteer check)"
  steady_on 0 'after its removal'
}

case_a_reverse_path_filter() {
  steered_tunnel_up
  path_filter mark
  equal 'problems with a filter that uses the mark' '' "$(problems)"
  steady_on 0 'with a filter that uses the mark'
  router nft delete table inet paths
  path_filter
  await 10 'traffic has stopped' no_traffic
  check 'check names a filter that ignores the mark' has_line \
    '^problem: table inet paths, chain pre \(prerouting, priority 10\): "fib saddr . iif oif missing drop" drops replies' \
    wgsteer check
  router nft delete table inet paths
  equal 'problems after its removal' '' "$(problems)"
}

run_cases "$@"
