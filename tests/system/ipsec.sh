#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# strongSwan's charon with IPsec in user space (a TUN device, ipsec0): its rule and table 220, a WireGuard peer in a
# site behind it, and all IPv4 traffic through it. charon starts before and after the daemon, restarts and stops.
set -u
# shellcheck source=../support/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/cases.sh"

readonly kStarter=/usr/lib/ipsec/starter kUserSpace=/usr/lib/ipsec/plugins/libstrongswan-kernel-libipsec.so
readonly kResponder=203.0.113.56

need_strongswan() {
  [[ -x $kStarter ]] || skip 'no strongSwan starter on this machine'
  [[ -r $kUserSpace ]] || skip 'no plugin kernel-libipsec (libcharon-extra-plugins)'
}

ipsec_pid=''

# With a PSK, for a site or all of IPv4.
ipsec_start() { # HOST SUBNET-OF-SERVER auto-VALUE
  local left=%defaultroute right=$kResponder mine=10.60.0.1/32 theirs=$2 id=router other=server
  [[ $1 == router ]] || left=$kResponder right=%any mine=$2 theirs=10.60.0.1/32 id=server other=router
  cat >"$work/$1-strongswan.conf" <<CONF
charon {
  load_modular = yes
  filelog { log { path = $work/$1-charon.log
      default = 1
      flush_line = yes } }
  plugins {
    include /etc/strongswan.d/charon/*.conf
    kernel-libipsec { load = yes }
    stroke { secrets_file = $work/$1-ipsec.secrets }
    bypass-lan { load = no }
  }
}
CONF
  cat >"$work/$1-ipsec.conf" <<CONF
config setup
conn site
  keyexchange=ikev2
  authby=secret
  ike=aes128-sha256-modp2048
  esp=aes128-sha256
  left=$left
  leftid=$id
  leftsubnet=$mine
  leftfirewall=no
  right=$right
  rightid=$other
  rightsubnet=$theirs
  mobike=no
  auto=$3
CONF
  printf '@router @server : PSK "of the test"\nrouter server : PSK "of the test"\n' >"$work/$1-ipsec.secrets"
  start_in_host "$1" "$work/$1-ipsec.log" env STRONGSWAN_CONF="$work/$1-strongswan.conf" "$kStarter" --nofork \
    --conf "$work/$1-ipsec.conf"
  ipsec_pid=$started
}

site_is_reached() { quietly router ping -n -c 1 -W 1 -I 10.60.0.1 10.61.0.5; }

# On SIGTERM, charon removes its rules and routes and deletes its device.
ipsec_stop() {
  stop_process "$ipsec_pid"
  await 10 "charon's device is gone" fails router ip link show ipsec0
}

# With all traffic in a tunnel, a user needs a host route for charon's own packets.
ipsec_up() { # SUBNET-OF-SERVER
  need_strongswan
  topology_up
  in_host server ip addr add 10.61.0.5/32 dev lo
  router ip addr add 10.60.0.1/32 dev lo
  router ip route add "$kResponder" via "${wan_gateway4[0]}" dev "${wan_device[0]}"
  ipsec_start server "$1" add
  await 20 "the server's charon is up" has_line "added configuration 'site'" grep -s . "$work/server-charon.log"
  ipsec_start router "$1" start
  await 30 'IPsec is up' site_is_reached
  check "charon's table is in use" has_line '^220:.*lookup 220' router ip rule show
}

# A second tunnel with its peer in the site: only table 220 leads there.
inner_tunnel_up() {
  wireguard_go server wgs1
  tunnel_configuration "$kPhoneKey" "$kServicePort" "$kRouterKey" 10.97.0.2/32 | in_host server wg setconf wgs1 /dev/stdin
  in_host server ip addr add 10.97.0.1/24 dev wgs1
  in_host server ip link set wgs1 up
  wireguard_go router wgi
  router ip addr add 10.97.0.2/24 dev wgi
  router ip link set wgi up
  inner_begins_anew
}

inner_begins_anew() {
  tunnel_configuration "$kRouterKey" 0 "$kPhoneKey" 10.97.0.1/32 "10.61.0.5:$kServicePort" | router wg setconf wgi /dev/stdin
}

inner_works() { quietly router ping -n -c 1 -W 1 10.97.0.1; }

# Through IPsec and nothing else: the server sees the router's inner address.
inner_is_in_ipsec() {
  [[ $(in_host server wg show wgs1 endpoints) == *10.60.0.1:* ]]
}

# Without the local routes of ipsec0: each start creates the device with a different address.
their_state() {
  local version
  for version in 4 6; do
    router ip -"$version" rule show | grep -v 'proto 87'
    router ip -"$version" route show table all | grep -v -e 'proto 87' -e 'dev ipsec0 table local' |
      sed 's/ expires [0-9]*sec//' | sort
  done
}

case_site() {
  ipsec_up 10.61.0.0/24
  tunnel_up route_halves
  inner_tunnel_up
  await 15 'the peer in the site answers without us' inner_works
  their_state >"$work/before"
  daemon_start_and_converge
  tunnel_forget
  traffic_start
  await_handshake
  steady_on 0 'charon started first'
  equal 'check finds no problem' 0 "$(code_of wgsteer check)"
  inner_begins_anew
  await 15 'the peer in the site answers' inner_works
  check 'it is reached through IPsec' inner_is_in_ipsec
  check 'foreign state is unchanged' diff "$work/before" <(their_state)

  ipsec_stop
  counters_reset
  await_traffic 'without charon'
  nothing_misrouted 'without charon'
  ipsec_start router 10.61.0.0/24 start
  await 30 'IPsec is up again' site_is_reached
  await 10 'converged' converged
  steady_on 0 'charon started later'
  inner_begins_anew
  await 15 'the peer in the site answers again' inner_works
  check 'it is reached through IPsec again' inner_is_in_ipsec

  wan_link_down 1
  steady_on 0 'the other WAN is down'
  wan_up 1
  await 10 'converged' converged
  daemon_stop TERM
  quietly wgsteer flush
  check 'foreign state after flush' diff "$work/before" <(their_state)
}

# All traffic goes into IPsec, except WireGuard's, which is steered past it like past any other tunnel.
case_everything() {
  # Bind ping to the tunnel, because the inner server's address is routed into IPsec as well.
  traffic_options=(-I "$tunnel_device")
  ipsec_up 0.0.0.0/0
  tunnel_up
  their_state >"$work/before"
  daemon_start_and_converge
  tunnel_forget
  traffic_start
  await_handshake
  steady_on 0 'past IPsec'
  check 'check reports it' \
    has_line "^problem: .*${endpoint4//./\\.}:$kPort is reached by ipsec0 without wgsteer but by wan0 via .* with it" \
    wgsteer check
  await 5 'the site is reached' site_is_reached
  ipsec_stop
  counters_reset
  await_traffic 'without charon'
  nothing_misrouted 'without charon'
  ipsec_start router 0.0.0.0/0 start
  await 30 'IPsec is up again' site_is_reached
  comes_to_rest_on 0 'charon started later'
  wan_link_down 0
  comes_to_rest_on 1 'failover'
}

more_diagnostics() {
  local host
  for host in router server; do
    echo "    --- charon of $host"
    tail -n 40 "$work/$host-charon.log"
  done
}
run_cases 4
