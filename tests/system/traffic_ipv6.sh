#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Hosts with IPv6 addresses of several providers, each of which drops the sources of the other. Nobody here translates
# IPv6 but what a policy's `ipv6` asks for.
#
#     tv:  2001:db8:10:a00::10  of fiber (2001:db8:10:a00::/56)
#          2001:db8:20:b00::10  of lte   (2001:db8:20:b00::/56)
#          fd12:3456:789a::10   of the LAN alone
set -u
# shellcheck source=../support/traffic.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/traffic.sh"

isp_prefix6=(2001:db8:10::/48 2001:db8:20::/48)
readonly kDelegated=(2001:db8:10:a00::/56 2001:db8:20:b00::/56)
readonly kOwn=(2001:db8:10:a00::10 2001:db8:20:b00::10)
readonly kUla=fd12:3456:789a::10
readonly kLan=(2001:db8:10:a00::1 2001:db8:20:b00::1 fd12:3456:789a::1)

# Main has what netifd puts there: default routes for each source, and here one for all others as well.
delegated_up() {
  local wan address
  traffic_up
  # On the way back from the provider, and among hosts of the LAN.
  for wan in 0 1; do
    in_host "isp$wan" ip -6 route add "${kDelegated[$wan]}" via "${wan_address6[$wan]}"
    source_specific_default "$wan"
  done
  for address in "${kLan[@]}"; do
    router ip -6 addr add "$address/64" dev br-lan nodad
  done
  for address in "${kOwn[@]}" "$kUla"; do
    in_host tv ip -6 addr add "$address/64" dev lan nodad
  done
}

source_specific_default() { # WAN
  router ip -6 route replace default from "${kDelegated[$1]}" via "${wan_gateway6[$1]}" dev "${wan_device[$1]}" \
    metric "${wan_metric[$1]}"
}

# As everywhere, but what a policy does about sources concerns all of them.
traffic_policies() {
  local each wans
  for each in fiber_first=fiber,lte lte_first=lte,fiber only_lte=lte; do
    wans=${each#*=}
    printf '[[policy]]\nname = "%s"\nuse_wan = ["%s"]\n%s\n' "${each%=*}" "${wans//,/\", \"}" "$policy_options"
  done
}

rule_for_tv() { printf '[[rule]]\nname = "tv"\nsrc_iface = ["br-lan"]\nuse_policy = "%s"\n' "$1"; } # POLICY

routed_by_source() { fiber_options='source_routing = true' lte_options='source_routing = true'; }

# The address that the server sees, and no other provider has dropped anything.
seen_as() { # ADDRESS PROTOCOL OPTION...
  goes_where "$1" tv "$2" "$internet" 443 "${@:3}"
}

by_its_source() { # WHAT
  local wan protocol
  observers_reset
  for wan in 0 1; do
    for protocol in tcp udp; do
      seen_as "${kOwn[$wan]}" "$protocol" --source "${kOwn[$wan]}"
    done
    check "$1: by ${wan_name[$wan]}" at_least 4 observed "$wan" all
  done
  no_foreign_sources "$1"
}

# At once: within the time in which a program would not even try its next address.
refused_at_once() { # PROTOCOL OPTION...
  local answer
  answer=$(asked_in tv "$1" "$internet" 443 "${@:2}")
  equal "$*" "$([[ $1 == tcp ]] && echo refused || echo unreachable)" "${answer% *}"
  check "$*: at once (${answer#* } ms)" at_most 50 echo "${answer#* }"
  note "$1 refused after ${answer#* } ms"
}

# ---- source_routing -------------------------------------------------------------------------------------------------

case_world_drops_foreign_sources() {
  delegated_up
  seen_as "${kOwn[0]}" tcp --source "${kOwn[0]}"
  # Without routes for each source, nobody knows better.
  router ip -6 route del default from "${kDelegated[0]}" dev "${wan_device[0]}"
  router ip -6 route del default from "${kDelegated[1]}" dev "${wan_device[1]}"
  seen_as silence udp --source "${kOwn[1]}" --timeout 0.3
  rule_for_tv lte_first | rules_are
  seen_as "${kOwn[1]}" udp --source "${kOwn[1]}"
  seen_as silence udp --source "${kOwn[0]}" --timeout 0.3
}

case_without_rules() {
  delegated_up
  fiber_options='source_routing = true'
  lte_options="source_routing = true
prefixes = [\"${kDelegated[1]}\"]"
  router ip -6 route del default from "${kDelegated[1]}" dev "${wan_device[1]}"
  : | rules_are
  by_its_source 'no rules'
  # Also what this host sends from there.
  goes_where "${kLan[1]}" router udp "$internet" 443 --source "${kLan[1]}"
  goes_where "${kLan[1]}" router tcp "$internet" 443 --source "${kLan[1]}"
  # Inside, a source does not matter.
  site_up
  in_host site ip -6 route replace "${kOwn[1]}" via "$site_router"
  goes_where "${kOwn[1]}" tv tcp "$site" 443 --source "${kOwn[1]}"
  wgsteer flush
  equal 'rules after flush' '' "$(router ip -6 rule show | grep 2001:db8:20 || true)"
}

case_without_rules_beside_a_moved_local_rule() {
  delegated_up
  fiber_options='source_routing = true'
  lte_options='source_routing = true'
  router ip -6 rule add pref 32765 lookup local
  router ip -6 rule del pref 0
  : | rules_are
  by_its_source 'the local rule stands behind'
  check 'the gateway answers' quietly in_host tv ping -n -c 1 -W 1 -I "${kOwn[1]}" "$lan_router"
}

# Where the kernel puts rules without a priority, full tunnels of wg-quick among them.
case_rules_right_before_main_come_first() {
  delegated_up
  fiber_options='source_routing = true'
  lte_options='source_routing = true'
  router ip -6 rule add pref 32765 iif br-lan prohibit
  : | rules_are
  check 'the refusal stays' has_line '^(unreachable|refused)' ask tv udp "$internet" 443 --source "${kOwn[1]}"
  check 'check tells it' has_line 'source_routing has no effect.*32765' wgsteer check -c "$work/wgsteer.toml"
  router ip -6 rule del pref 32765
  await 5 'by its source' source_decides
}
source_decides() { [[ $(ask tv udp "$internet" 443 --source "${kOwn[1]}") == "${kOwn[1]}" ]]; }

case_the_source_decides_within_a_policy() {
  delegated_up
  routed_by_source
  local policy
  for policy in fiber_first lte_first; do
    rule_for_tv "$policy" | rules_are
    by_its_source "$policy"
  done
  # What no rule matches.
  printf '[[rule]]\nsrc_ip = ["192.0.2.77"]\nuse_policy = "fiber_first"\n' | rules_are
  by_its_source 'no rule matches'
  printf '[[rule]]\nuse_policy = "main"\n' | rules_are
  by_its_source 'left alone'
  # This host itself, by ip rules and by chains.
  local own
  for own in '' 'dscp = ["!ef"]'; do
    printf '[[rule]]\nname = "own"\norigin = "local"\nuse_policy = "lte_first"\n%s\n' "$own" | rules_are
    goes_where "${kLan[0]}" router udp "$internet" 443 --source "${kLan[0]}"
    goes_where "${kLan[1]}" router tcp "$internet" 443 --source "${kLan[1]}"
    goes_where "${wan_address[1]}" router tcp "$internet" 443
  done
  no_foreign_sources 'throughout'
}

case_refusals_come_before_the_source() {
  delegated_up
  routed_by_source
  rule_for_tv unreachable | rules_are
  observers_reset
  refused_at_once udp --source "${kOwn[0]}"
  rule_for_tv blackhole | rules_are
  seen_as silence udp --source "${kOwn[1]}" --timeout 0.3
  # A policy that lacks the source's WAN: nothing leaves by that.
  rule_for_tv only_lte | rules_are
  seen_as silence udp --source "${kOwn[0]}" --timeout 0.3
  equal 'packets by fiber' 0 "$(observed 0 all)"
  seen_as "${kOwn[1]}" udp --source "${kOwn[1]}"
}

case_the_source_of_a_dead_wan() {
  delegated_up
  routed_by_source
  policy_options='ipv6 = "masquerade"'
  rule_for_tv fiber_first | rules_are
  by_its_source 'both'
  flow_start tcp tv tcp "$internet" 7000 --source "${kOwn[0]}" --flows 3
  flow_start udp tv udp "$internet" 7000 --source "${kOwn[0]}" --flows 3
  flow_start kept tv udp "$internet" 7000 --source "${kOwn[1]}" --flows 3
  local since
  since=$(now_ms)
  wgsteer wan fiber down
  flow_is_on udp "${wan_address[1]}" 5 'fiber is down'
  note "moved after $(flow_moved_after udp "${wan_address[1]}" "$since") ms"
  seen_as "${wan_address[1]}" tcp --source "${kOwn[0]}"
  seen_as "${kOwn[1]}" tcp --source "${kOwn[1]}"
  wgsteer wan fiber auto
  await 5 'fiber is back' answered_as "${kOwn[0]}" "${kOwn[0]}"
  by_its_source 'back'
  flow_is_untouched kept "${kOwn[1]}" "$since" 'throughout'
  # With its link, its routes and addresses go as well.
  wan_link_down 0
  await 5 'by lte' answered_as "${wan_address[1]}" "${kOwn[0]}"
  wan_up 0
  source_specific_default 0
  await 5 'fiber is back' answered_as "${kOwn[0]}" "${kOwn[0]}"
  await 5 'converged' traffic_converged
  by_its_source 'link back'
}

answered_as() { # ADDRESS SOURCE
  [[ $(ask tv udp "$internet" 443 --source "$2" --timeout 0.3) == "$1" ]]
}

case_restart_and_reload() {
  delegated_up
  routed_by_source
  policy_options='ipv6 = "translate"'
  rule_for_tv lte_first | rules_are
  local before
  before=$(ruling_state)
  daemon_stop KILL
  by_its_source 'killed'
  daemon_start
  await 15 'the daemon has converged' traffic_converged
  equal 'kernel state after a restart' "$before" "$(ruling_state)"
  fiber_options='' lte_options='' policy_options=''
  rule_for_tv lte_first | rules_are
  equal 'rules by source' '' "$(router ip -6 rule show | grep 'from 2001:db8:[12]0:[ab]00.* lookup' || true)"
  equal 'chains for sources' '' "$(router nft list table inet wgsteer | grep -E 'reject|masquerade|snat' || true)"
  wgsteer flush
}

# ---- ipv6 of a policy -----------------------------------------------------------------------------------------------

case_reject() {
  delegated_up
  policy_options='ipv6 = "reject"'
  rule_for_tv only_lte | rules_are
  check 'the listing loads back' listing_loads
  observers_reset
  local protocol
  for protocol in tcp udp; do
    refused_at_once "$protocol" --source "${kOwn[0]}"
    refused_at_once "$protocol" --source "$kUla"
    seen_as "${kOwn[1]}" "$protocol" --source "${kOwn[1]}"
  done
  equal 'packets by fiber' 0 "$(observed 0 all)"
  no_foreign_sources 'throughout'
  check 'explain says so' has_line 'refused' \
    wgsteer explain "${daemon_arguments[@]}" --proto tcp --in br-lan --from "${kOwn[0]}" "[$internet]:443"
  # IPv4 of the same host is left alone.
  equal 'IPv4' "${wan_address4[1]}" "$(ask tv tcp 203.0.113.55 443)"
  # Established TCP that loses its exit ends at once.
  routed_by_source
  rule_for_tv lte_first | rules_are
  flow_start tcp tv tcp "$internet" 7000 --source "${kOwn[0]}"
  wgsteer wan fiber down
  await 2 'the connection has ended' flow_has_ended tcp
  refused_at_once tcp --source "${kOwn[0]}"
  wgsteer wan fiber auto
  flow_is_on tcp "${kOwn[0]}" 5 'fiber is back'
  no_foreign_sources 'throughout'
}

flow_has_ended() { (($(flow_errors "$1") > 0)); } # NAME

case_masquerade() {
  delegated_up
  policy_options='ipv6 = "masquerade"'
  rule_for_tv only_lte | rules_are
  observers_reset
  local protocol
  for protocol in tcp udp; do
    seen_as "${wan_address[1]}" "$protocol" --source "${kOwn[0]}"
    seen_as "${wan_address[1]}" "$protocol" --source "$kUla"
    seen_as "${kOwn[1]}" "$protocol" --source "${kOwn[1]}"
  done
  equal 'packets by fiber' 0 "$(observed 0 all)"
  no_foreign_sources 'throughout'
}

case_translate() {
  delegated_up
  global_options=$'[globals]\ninside_prefixes = ["fd12:3456:789a::/56"]'
  policy_options='ipv6 = "translate"'
  rule_for_tv only_lte | rules_are
  observers_reset
  local protocol
  for protocol in tcp udp; do
    seen_as 2001:db8:20:b00::10 "$protocol" --source "${kOwn[0]}"
    seen_as 2001:db8:20:b00::10 "$protocol" --source "$kUla"
    seen_as "${kOwn[1]}" "$protocol" --source "${kOwn[1]}"
  done
  check 'the listing loads back' listing_loads
  # Of a prefix as wide, the subnet stays.
  router ip -6 addr add 2001:db8:10:a07::1/64 dev br-lan nodad
  in_host tv ip -6 addr add 2001:db8:10:a07::77/64 dev lan nodad
  seen_as 2001:db8:20:b07::77 udp --source 2001:db8:10:a07::77
  # What nobody has named is refused, and so is what is wider than the exit's prefix.
  refused_at_once udp --source 2001:db8:1::10
  no_foreign_sources 'throughout'
  global_options=$'[globals]\ninside_prefixes = ["fd12:3456:789a::/48"]'
  rule_for_tv only_lte | rules_are
  refused_at_once tcp --source "$kUla"
  check 'check says so' has_line 'cannot translate fd12:3456:789a::/48 for WAN lte' \
    wgsteer check -c "$work/wgsteer.toml"
}

listing_loads() { router nft list table inet wgsteer | in_host server nft -f -; }

# A renumbered provider, while the daemon runs.
case_a_new_prefix() {
  delegated_up
  routed_by_source
  policy_options='ipv6 = "reject"'
  rule_for_tv fiber_first | rules_are
  by_its_source 'before'
  in_host isp1 ip -6 route add 2001:db8:20:c00::/56 via "${wan_address6[1]}"
  router ip -6 route replace default from 2001:db8:20:c00::/56 via "${wan_gateway6[1]}" dev "${wan_device[1]}" metric 200
  router ip -6 route del default from "${kDelegated[1]}" dev "${wan_device[1]}"
  router ip -6 addr add 2001:db8:20:c00::1/64 dev br-lan nodad
  in_host tv ip -6 addr add 2001:db8:20:c00::10/64 dev lan nodad
  await 5 'by the new prefix' answered_as 2001:db8:20:c00::10 2001:db8:20:c00::10
  await 5 'converged' traffic_converged
  refused_at_once udp --source "${kOwn[1]}"
  no_foreign_sources 'throughout'
}

run_cases "${@:-6}"
