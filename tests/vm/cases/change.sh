# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154 # wan_address and the like are set by lib.sh
#
# Changes while a tunnel is up: the WAN's address, the tunnel's configuration, the tunnel itself.

case_address_renewed() {
  steered_tunnel_up
  # With traffic paused, no packet is in flight during the change: every packet counted was sent after it.
  traffic_pause
  counters_reset
  wan_renew_address 0 "${wan_address[0]}" "$renewed_address"
  traffic_resume
  await 20 'data with the new address' at_least 1 sent 0 4 "$renewed_address"
  await_traffic 'traffic goes on'
  nothing_misrouted 'renewal'
  equal 'packets by wan0 with the old address' 0 "$(sent 0 any "${wan_address[0]}")"
  await 10 'the old address is gone from our state' absent_from_own_state "${wan_address[0]}"
  wan_address[0]=$renewed_address
  steady_on 0 'after the renewal'
  await_converged
}

# As above, but with continuous traffic.
case_address_renewed_under_traffic() {
  steered_tunnel_up
  counters_reset
  wan_renew_address 0 "${wan_address[0]}" "$renewed_address"
  await 20 'data with the new address' at_least 1 sent 0 4 "$renewed_address"
  await_traffic 'traffic goes on'
  nothing_misrouted 'renewal'
  wan_address[0]=$renewed_address
  steady_on 0 'after the renewal'
}

# The kernel sends no notification that the mark is gone, so only the next look finds it: until then, the packets are
# steered by their endpoint.
case_setconf_drops_the_mark() {
  steered_tunnel_up
  local mark
  mark=$(tunnel_mark wg0)
  [[ $mark != off ]] || fail 'the tunnel has no mark'
  counters_reset
  client_configuration "$kRouterKey" "$kServerKey" "$(socket_address "${endpoint[0]}" 51820)" |
    router wg setconf wg0 /dev/stdin
  await 15 'the mark is back' prints "$mark" tunnel_mark wg0
  await_traffic 'traffic goes on' 30
  nothing_misrouted 'without the mark and after it'
  steady_on 0 'after setconf'
}

# With traffic throughout, so that the new device's first packets are looked at, which it sends before it has a mark.
case_device_created_again() {
  steered_tunnel_up
  local old_index new_index
  old_index=$(router cat /sys/class/net/wg0/ifindex)
  counters_reset
  ip -n router link del wg0
  client_tunnel_up wg0 "$kRouterKey" "$kServerKey" "$(socket_address "${endpoint[0]}" 51820)" "$inner_router"
  route_halves wg0
  await 30 'the handshake' handshake_done wg0
  await_traffic 'traffic goes on'
  nothing_misrouted 'recreation'
  new_index=$(router cat /sys/class/net/wg0/ifindex)
  [[ $old_index != "$new_index" ]] || fail 'the new device has the same ifindex: this case proves nothing'
  await_converged
  steady_on 0 'after recreation'
}

# The endpoint changes to the server's other address, as after a DNS update.
case_endpoint_changed() {
  steered_tunnel_up
  router wg set wg0 peer "$(public_key "$kServerKey")" endpoint "$(socket_address "${endpoint[1]}" 51820)"
  await_traffic 'traffic goes on'
  steady_on 0 'at the other address'
  counters_reset
  wan_carrier_down 0
  await_traffic 'traffic goes on after the failover'
  nothing_misrouted 'failover at the other address'
}

# Another program flushes our rules or deletes our table.
case_rules_flushed_by_others() {
  steered_tunnel_up
  local before
  before=$(own_state)
  router_ip rule flush
  # `rule flush` also deletes the system's own rules, which are not ours to restore.
  router_ip rule add pref 32766 lookup main
  await 10 'the rules are restored' own_state_is "$before"
  router nft delete table inet wgsteer
  await 10 'the table is restored' own_state_is "$before"
  steady_on 0 'after the repair'
}

own_state_is() { [[ $(own_state) == "$1" ]]; }
