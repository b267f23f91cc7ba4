#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Real routing daemons: BIRD and FRR learn the first WAN's default from the ISP and a site's prefix from a router on the
# LAN; keepalived moves an address with its routes and rules. They restart, crash and withdraw routes. Their state and
# ours never interfere, and a peer in the site stays reachable through the LAN.
set -u
# shellcheck source=../support/cases.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/cases.sh"

readonly kRouterAs=65000 kSiteAs=65001 kIspAs=65010
readonly kSiteKey=$kPhoneKey

need() { # PROGRAM...
  local program
  for program in "$@"; do
    command -v "$program" >/dev/null || skip "no $program on this machine"
  done
}

# Process IDs by host.
declare -A running=()

# ---- BIRD -------------------------------------------------------------------------------------------------------------

bird_need() { need bird birdc; }

bird_session() { # NAME FAMILY LOCAL AS NEIGHBOUR AS EXPORT
  cat <<CONF
protocol bgp $1 {
  local $3 as $4;
  neighbor $5 as $6;
  connect retry time 1; connect delay time 1; error wait time 1, 2; hold time 3;
  ipv$2 { import all; export $7; next hop self; };
}
CONF
}

bird_configuration() { # HOST
  printf 'log stderr all;\nprotocol device { scan time 1; }\n'
  case $1 in
    router)
      echo 'router id 192.0.2.10;'
      echo 'protocol kernel { ipv4 { export where source = RTS_BGP; }; }'
      echo 'protocol kernel { ipv6 { export where source = RTS_BGP; }; }'
      bird_session isp4 4 "${wan_address4[0]}" $kRouterAs "${wan_gateway4[0]}" $kIspAs none
      bird_session isp6 6 "${wan_address6[0]}" $kRouterAs "${wan_gateway6[0]}" $kIspAs none
      bird_session site4 4 192.168.1.1 $kRouterAs 192.168.1.50 $kSiteAs none
      bird_session site6 6 fd01::1 $kRouterAs fd01::50 $kSiteAs none
      ;;
    isp0)
      echo 'router id 192.0.2.1;'
      echo 'protocol static { ipv4; route 0.0.0.0/0 unreachable; }'
      echo 'protocol static { ipv6; route ::/0 unreachable; }'
      bird_session customer4 4 "${wan_gateway4[0]}" $kIspAs "${wan_address4[0]}" $kRouterAs all
      bird_session customer6 6 "${wan_gateway6[0]}" $kIspAs "${wan_address6[0]}" $kRouterAs all
      ;;
    phone)
      echo 'router id 192.168.1.50;'
      echo 'protocol static { ipv4; route 10.50.0.0/16 unreachable; }'
      echo 'protocol static { ipv6; route fd50::/48 unreachable; }'
      bird_session router4 4 192.168.1.50 $kSiteAs 192.168.1.1 $kRouterAs all
      bird_session router6 6 fd01::50 $kSiteAs fd01::1 $kRouterAs all
      ;;
  esac
}

bird_start() { # HOST
  bird_configuration "$1" >"$work/bird-$1.conf"
  start_in_host "$1" "$work/bird-$1.log" bird -f -c "$work/bird-$1.conf" -s /run/bird.ctl
  running[$1]=$started
}
bird_stop() { stop_process "${running[$1]}" "${2:-TERM}"; } # HOST [SIGNAL]
bird_reload() { quietly router birdc -s /run/bird.ctl configure; }

# ---- FRR --------------------------------------------------------------------------------------------------------------

readonly kFrr=/usr/lib/frr

frr_need() { [[ -x $kFrr/zebra && -x $kFrr/bgpd && -x $kFrr/staticd ]] || skip 'no FRR on this machine'; }

frr_session() { # LOCAL-AS ROUTER-ID [FAMILY NEIGHBOUR AS WHAT-IS-SAID]...
  local said='' words
  printf 'log stdout\nrouter bgp %s\n' "$1"
  printf ' bgp router-id %s\n no bgp ebgp-requires-policy\n no bgp network import-check\n no bgp default ipv4-unicast\n timers bgp 1 3\n' "$2"
  shift 2
  while (($#)); do
    printf ' neighbor %s remote-as %s\n neighbor %s timers connect 1\n neighbor %s advertisement-interval 0\n' "$2" "$3" "$2" "$2"
    said+=" address-family ipv$1 unicast"$'\n'"  neighbor $2 activate"$'\n'
    words=${4//NEIGHBOUR/$2}
    [[ -z $words ]] || said+="  $words"$'\n'
    said+=" exit-address-family"$'\n'
    shift 4
  done
  printf '%s' "$said"
}

frr_configuration() { # HOST
  case $1 in
    router)
      frr_session $kRouterAs 192.0.2.10 4 "${wan_gateway4[0]}" $kIspAs '' 6 "${wan_gateway6[0]}" $kIspAs '' \
        4 192.168.1.50 $kSiteAs '' 6 fd01::50 $kSiteAs ''
      ;;
    isp0)
      frr_session $kIspAs 192.0.2.1 4 "${wan_address4[0]}" $kRouterAs 'neighbor NEIGHBOUR default-originate' \
        6 "${wan_address6[0]}" $kRouterAs 'neighbor NEIGHBOUR default-originate'
      ;;
    phone)
      frr_session $kSiteAs 192.168.1.50 4 192.168.1.1 $kRouterAs 'network 10.50.0.0/16' \
        6 fd01::1 $kRouterAs 'network fd50::/48'
      ;;
  esac
}

frr_start() { # HOST
  in_host "$1" install -d -o frr -g frr /run/frr
  frr_configuration "$1" >"$work/bgpd-$1.conf"
  echo 'log stdout' >"$work/zebra-$1.conf"
  echo 'log stdout' >"$work/staticd-$1.conf"
  # FRR prefers kernel routes to its own, so both defaults must be FRR's; it installs only the better one.
  [[ $1 != router ]] || printf 'ip route 0.0.0.0/0 %s 200\nipv6 route ::/0 %s 200\n' "${wan_gateway4[1]}" \
    "${wan_gateway6[1]}" >>"$work/staticd-$1.conf"
  chmod 755 "$work"
  running[$1]=''
  local daemon
  for daemon in zebra staticd bgpd; do
    start_in_host "$1" "$work/$daemon-$1.log" "$kFrr/$daemon" -f "$work/$daemon-$1.conf" --vty_port 0
    running[$1]+="$started "
    [[ $daemon != zebra ]] || await 10 "zebra of $1" in_host "$1" test -S /run/frr/zserv.api
  done
}
frr_stop() { # HOST [SIGNAL]
  local pid
  for pid in ${running[$1]}; do
    stop_process "$pid" "${2:-TERM}"
  done
  in_host "$1" rm -rf /run/frr
}
# Without vtysh there is no reload, so restart only bgpd.
frr_reload() {
  local pids
  read -ra pids <<<"${running[router]}"
  stop_process "${pids[2]}"
  start_in_host router "$work/bgpd-router.log" "$kFrr/bgpd" -f "$work/bgpd-router.conf" --vty_port 0
  running[router]="${pids[0]} ${pids[1]} $started"
}

# ---- The site ---------------------------------------------------------------------------------------------------------

# A peer of another tunnel, behind the router on the LAN: only a learned route leads there.
site_up() {
  local address=10.50.0.5 inner=10.97.0
  [[ $family == 4 ]] || address=fd50::5
  in_host phone ip addr add "$address" dev lo
  wireguard_go phone wgs
  tunnel_configuration "$kSiteKey" "$kServicePort" "$kRouterKey" "$inner.2/32" | in_host phone wg setconf wgs /dev/stdin
  in_host phone ip addr add "$inner.1/24" dev wgs
  in_host phone ip link set wgs up
  wireguard_go router wgi
  tunnel_configuration "$kRouterKey" 0 "$kSiteKey" "$inner.1/32" "$(socket_address "$address" "$kServicePort")" |
    router wg setconf wgi /dev/stdin
  router ip addr add "$inner.2/24" dev wgi
  router ip link set wgi up
}

site_is_reached() { quietly router ping -n -c 1 -W 1 10.97.0.1; }

site_begins_anew() {
  local peer
  peer=$(public_key "$kSiteKey")
  router wg set wgi peer "$peer" remove
  local address=10.50.0.5
  [[ $family == 4 ]] || address=fd50::5
  router wg set wgi peer "$peer" endpoint "$(socket_address "$address" "$kServicePort")" allowed-ips 10.97.0.1/32
}

learned() { # default|site
  local prefix=$1
  if [[ $1 == site && $family == 4 ]]; then prefix=10.50.0.0/16; elif [[ $1 == site ]]; then prefix=fd50::/48; fi
  [[ -n $(router_ip route show "$prefix" proto "$protocol") ]]
}
# Checks both families, because their_state includes both.
all_learned() {
  local version
  for version in 4 6; do
    [[ -n $(router ip -$version route show default proto "$protocol") ]] || return 1
  done
  [[ -n $(router ip route show 10.50.0.0/16 proto "$protocol") && -n $(router ip -6 route show fd50::/48 proto "$protocol") ]]
}

# ---- The steps for each daemon ---------------------------------------------------------------------------------------

protocol=''

# All foreign state. Nexthop objects get new IDs at each start.
their_state() {
  local version
  for version in 4 6; do
    router ip -"$version" rule show | grep -v 'proto 87'
    router ip -"$version" route show table all | grep -v 'proto 87' | sed 's/ nhid [0-9]*//; s/ expires [0-9]*sec//' | sort
  done
}

default_is_deleted() { # WAN
  router ip route del default dev "${wan_device[$1]}"
  router ip -6 route del default dev "${wan_device[$1]}"
}

# Both defaults belonged to the routing daemon.
no_way_out() {
  counters_reset
  equal 'no default' '' "$(router_ip route show default)"
  site_begins_anew
  await 10 'the site is unreachable, too' fails site_is_reached
  nothing_misrouted 'no default'
}

# Sorted, because a recreated chain is listed last.
our_lines() { own_state | sort; }
our_lines_are() { our_lines | diff <(echo "$1") - >"$work/own_state.diff"; } # LINES

right_after() { # WAN WHAT
  await 10 "$2: converged" converged
  comes_to_rest_on "$1" "$2"
  await 10 "$2: the site is reached" site_is_reached
  site_begins_anew
  await 10 "$2: the site is reached after a new handshake" site_is_reached
}

learning() { # DAEMON PROTOCOL
  local daemon=$1 host ours
  protocol=$2
  "${daemon}_need"
  topology_up
  topology_lan
  # The ISP announces the default.
  default_is_deleted 0
  [[ $daemon != frr ]] || default_is_deleted 1
  for host in isp0 phone router; do
    "${daemon}_start" "$host"
  done
  await 30 'the routes are learned' all_learned
  tunnel_up route_halves
  site_up
  their_state >"$work/before"
  daemon_start_and_converge
  tunnel_forget
  traffic_start
  await_handshake
  right_after 0 'learned routes'
  check 'foreign state is unchanged' diff "$work/before" <(their_state)
  equal 'check finds no problem' 0 "$(code_of wgsteer check)"

  "${daemon}_reload"
  await 30 'learned again after the reload' all_learned
  right_after 0 'reload'
  # By now the second WAN is known, even if its default is in the kernel only while the first has none.
  ours=$(our_lines)

  "${daemon}_stop" router
  await 10 'the learned default is gone' fails learned default
  if [[ $daemon == frr ]]; then no_way_out; else comes_to_rest_on 1 'the learned default is gone'; fi
  "${daemon}_start" router
  await 30 'learned again' all_learned
  right_after 0 'restarted'
  await 5 'our state after the restart' our_lines_are "$ours"

  # Its routes stay in the kernel until the next start removes and relearns them.
  "${daemon}_stop" router KILL
  counters_reset
  await_traffic 'killed'
  nothing_misrouted 'killed'
  "${daemon}_start" router
  await 30 'learned again after the kill' all_learned
  right_after 0 'killed and restarted'
  await 5 'our state after the kill' our_lines_are "$ours"

  "${daemon}_stop" isp0
  await 10 'the ISP has withdrawn its default' fails learned default
  right_after 1 'withdrawn'
  "${daemon}_start" isp0
  await 30 'the ISP is back' all_learned
  right_after 0 'the ISP is back'

  "${daemon}_stop" phone
  await 10 'the site is withdrawn' fails learned site
  counters_reset
  await_traffic 'without the site'
  nothing_misrouted 'without the site'
  "${daemon}_start" phone
  await 30 'the site is back' all_learned
  right_after 0 'the site is back'

  # Our daemon restarts, too.
  daemon_stop KILL
  daemon_start_and_converge
  right_after 0 'wgsteer restarted'
  await 5 'our state after our restart' our_lines_are "$ours"
  daemon_stop TERM
  quietly wgsteer flush
  check 'foreign state after flush' diff "$work/before" <(their_state)
}

case_bird() { learning bird bird; }
case_frr() { learning frr bgp; }

# ---- keepalived -------------------------------------------------------------------------------------------------------

# The first WAN's line belongs to the VRRP master: its address, default and rule move.
keepalived_configuration() { # HOST PRIORITY
  local device=lan0 link=fe80::100
  [[ $1 == router ]] || device=lan
  [[ $family == 6 ]] || link=192.168.1.254/24
  cat <<CONF
global_defs {
  router_id $1
  vrrp_version 3
}
vrrp_instance line {
  state BACKUP
  interface $device
  virtual_router_id 51
  priority $2
  advert_int 0.2
CONF
  if [[ $1 == router ]]; then
    cat <<CONF
  virtual_ipaddress {
    $link dev $device
  }
  virtual_ipaddress_excluded {
    $shared_address/$wan_length dev ${wan_device[0]}
  }
  virtual_routes {
    default via ${wan_gateway[0]} dev ${wan_device[0]} src $shared_address metric 50
    default via ${wan_gateway[0]} dev ${wan_device[0]} src $shared_address table 100
  }
  virtual_rules {
    from $shared_address lookup 100 priority 1000
  }
}
CONF
  else
    printf '  virtual_ipaddress {\n    %s dev %s\n  }\n}\n' "$link" "$device"
  fi
}

keepalived_start() { # HOST PRIORITY
  keepalived_configuration "$@" >"$work/keepalived-$1.conf"
  # keepalived insists that nobody else can read its configuration.
  chmod 600 "$work/keepalived-$1.conf"
  start_in_host "$1" "$work/keepalived-$1.log" keepalived --dont-fork --log-console --vrrp --use-file "$work/keepalived-$1.conf" \
    --pid /run/keepalived.pid --vrrp_pid /run/vrrp.pid
  running[$1]=$started
}
# keepalived has a child, which would survive SIGKILL of its parent.
keepalived_kill() { # HOST
  local children
  children=$(<"/proc/${running[$1]}/task/${running[$1]}/children")
  stop_process "${running[$1]}" KILL
  # Unquoted: a list of process IDs.
  # shellcheck disable=SC2086
  kill -KILL $children 2>/dev/null || true
  in_host "$1" rm -f /run/keepalived.pid /run/vrrp.pid
}

is_master() { [[ $(router ip addr show dev "${wan_device[0]}") == *" $shared_address/"* && -n $(router_ip rule show pref 1000) ]]; }

leaves_from_shared_address() {
  has_line "$(public_key "$kRouterKey").*[[:blank:]]\\[?${shared_address//./\\.}[]:]" server_sees
}

master_carries_by() { # WHAT
  await 15 "$1: the router is the master" is_master
  await 10 "$1: converged" converged
  comes_to_rest_on 0 "$1"
  await 10 "$1: from the shared address" leaves_from_shared_address
}

case_keepalived() {
  local shared_address=192.0.2.20 ours theirs
  [[ $family == 4 ]] || shared_address=2001:db8:10::20
  need keepalived
  topology_up
  topology_lan
  default_is_deleted 0
  keepalived_start router 100
  await 15 'the router is the master' is_master
  tunnel_up route_halves
  theirs=$(their_state)
  daemon_start_and_converge
  tunnel_forget
  traffic_start
  await_handshake
  master_carries_by 'the master'
  check 'foreign state is unchanged' diff <(echo "$theirs") <(their_state)
  equal 'check finds no problem' 0 "$(code_of wgsteer check)"
  ours=$(our_lines)

  keepalived_start phone 200
  await 15 'the other router is the master' fails is_master
  comes_to_rest_on 1 'no longer the master'
  stop_process "${running[phone]}"
  master_carries_by 'the master again'
  await 5 'our state when it is the master again' our_lines_are "$ours"

  kill -HUP "${running[router]}"
  master_carries_by 'keepalived reloaded'
  await 5 'our state after the reload' our_lines_are "$ours"
  stop_process "${running[router]}"
  await 15 'keepalived has stopped' fails is_master
  comes_to_rest_on 1 'keepalived has stopped'
  keepalived_start router 100
  master_carries_by 'keepalived restarted'
  await 5 'our state after the restart' our_lines_are "$ours"
  keepalived_kill router
  counters_reset
  await_traffic 'killed'
  nothing_misrouted 'killed'
  keepalived_start router 100
  await 15 'killed and restarted: the router is the master' is_master
  await 10 'killed and restarted: converged' converged
  comes_to_rest_on 0 'killed and restarted'
  # keepalived first deletes the address, for which the kernel removes the source from the IPv6 routes; it stays
  # removed.
  if [[ $family == 4 ]]; then
    await 10 'from the shared address' leaves_from_shared_address
    await 5 'our state after the kill' our_lines_are "$ours"
  fi

  theirs=$(their_state)
  daemon_stop TERM
  quietly wgsteer flush
  check 'foreign state after flush' diff <(echo "$theirs") <(their_state)
}

more_diagnostics() {
  local log
  for log in "$work"/{bird,zebra,bgpd,keepalived}-*.log; do
    [[ ! -s $log ]] || { echo "    --- ${log##*/}" && tail -n 30 "$log"; }
  done
}

run_cases "$@"
