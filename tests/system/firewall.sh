#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# `check` names the firewall that keeps a tunnel from its peer, and says nothing about one that does not.
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

# The reverse path filter of firewalld (filter + 10, with the mark), or one that looks without it.
path_filter() { # [MARK]
  router nft -f - <<RULES
table inet paths {
  chain pre { type filter hook prerouting priority 10; fib saddr ${1:+. $1 }. iif oif missing drop; }
}
RULES
}

# Half a second without an answer to twenty-five requests.
no_traffic() {
  local before
  before=$(answers)
  read -rt 0.5 -u "$never" || true
  (($(answers) == before))
}

problems() { # -> what is said, without advice
  wgsteer check | grep -E '^(problem|conflict): ' || true
}

case_a_mark_that_is_cleared() {
  steered_tunnel_up
  equal 'without it' 0 "$(code_of wgsteer check)"
  late_chain
  await 10 'nothing comes any more' no_traffic
  equal 'it is found' 2 "$(code_of wgsteer check)"
  check 'and named' has_line '^problem: table inet late, chain out \(output, priority 0\): "meta mark set 0x0"' \
    wgsteer check
  router nft delete table inet late
  equal 'gone' 0 "$(code_of wgsteer check)"
  steady_on 0 'after it has gone'
}

case_a_reverse_path_filter() {
  steered_tunnel_up
  path_filter mark
  equal 'with the mark' '' "$(problems)"
  steady_on 0 'with a filter that looks with the mark'
  router nft delete table inet paths
  path_filter
  await 10 'nothing comes any more' no_traffic
  check 'without the mark' has_line \
    '^problem: table inet paths, chain pre \(prerouting, priority 10\): "fib saddr . iif oif missing drop" drops replies' \
    wgsteer check
  router nft delete table inet paths
  equal 'gone' '' "$(problems)"
}

run_cases "$@"
