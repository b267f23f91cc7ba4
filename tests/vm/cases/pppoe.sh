# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2034,SC2154 # for neighbours.sh, and set by it
#
# pppd manages the first WAN, a PPPoE line over the Ethernet device wan0, and networkd the second. The ISP's
# concentrator is pppoe-server, with one pppd per session; both ends of a session have a device "ppp0".
#
#     ppp0  192.0.2.10 to 192.0.2.1, fe80:: by IPv6CP, 2001:db8:10::10/64      on wan0
#     wan1  DHCP 198.51.100.10 from .1, RA 2001:db8:20::/64, metric 200

# shellcheck source=../neighbours.sh
. /test/neighbours.sh

alone=()
devices=(ppp0 wan0 wan1 wg0 wg1)

versions() {
  pppd --version 2>&1
  pppoe -V 2>&1 | head -n 1
}

# ---- The ISP's end of a line ------------------------------------------------------------------------------------------

readonly line_prefix6=(2001:db8:10:: 2001:db8:20::)
line_address=(192.0.2.10 198.51.100.10)

# Accepts only the line's current address, not the whole prefix: an earlier address of the line counts as foreign.
line_ruleset() { # LINE
  in_namespace "isp$1" nft delete table inet isp
  isp_ruleset "${line_address[$1]}" "${line_prefix6[$1]}/64" | sed 's/"customer"/"ppp*"/' | in_namespace "isp$1" nft -f -
}

# The password, and a script that adds an IPv6 address to the line, as a router does after prefix delegation. Scripts
# also add defaults with a metric: Debian's pppd (2.4.9) adds none if any other exists, even with defaultroute-metric.
ppp_files() {
  cat >/etc/ppp/chap-secrets <<'CONF'
line0 * secret *
line1 * secret *
CONF
  chmod 600 /etc/ppp/chap-secrets
  mkdir -p /etc/ppp/ip-up.d /etc/ppp/ipv6-up.d
  cat >/etc/ppp/ipv6-up.d/addresses <<'CONF'
#!/bin/sh
case $PPP_IPPARAM in
  line0) ip addr add 2001:db8:10::10/64 dev "$PPP_IFACE" ;;
  line1) ip addr add 2001:db8:20::10/64 dev "$PPP_IFACE" ;;
  isp0) ip addr add 2001:db8:10::1/64 dev "$PPP_IFACE" ;;
  isp1) ip addr add 2001:db8:20::1/64 dev "$PPP_IFACE" ;;
esac
[ ! -e "/etc/ppp/$PPP_IPPARAM.metric" ] || ip route add default via "$PPP_REMOTE" dev "$PPP_IFACE" metric "$(cat "/etc/ppp/$PPP_IPPARAM.metric")"
CONF
  cat >/etc/ppp/ip-up.d/default <<'CONF'
#!/bin/sh
[ ! -e "/etc/ppp/$PPP_IPPARAM.metric" ] || ip route add default dev "$PPP_IFACE" metric "$(cat "/etc/ppp/$PPP_IPPARAM.metric")"
CONF
  chmod 755 /etc/ppp/{ip,ipv6}-up.d/*
}

# The ISP's addresses are on the lines only, and both ISPs may use the same one.
concentrator_up() { # LINE [ITS-ADDRESS]
  ip -n "isp$1" addr flush dev customer scope global
  line_ruleset "$1"
  cat >"$case_results/isp$1.options" <<CONF
require-chap
name isp$1
ipparam isp$1
+ipv6
lcp-echo-interval 0
nodefaultroute
logfile $case_results/isp$1.log
CONF
  # It needs its own /run: the router's pppd has files of the same names.
  # shellcheck disable=SC2016
  ip netns exec "isp$1" sh -c 'mount -t tmpfs tmpfs /run && exec "$@"' - pppoe-server -F -I customer -C "isp$1" -N 1 \
    -L "${2:-192.0.2.1}" -R "${line_address[$1]}" -O "$case_results/isp$1.options" >"$case_results/isp$1.server" 2>&1 &
  # Keep bash from reporting that it was killed.
  disown
}

# Like a power failure of the concentrator: the other end is not notified.
concentrator_dies() { # LINE
  local processes
  mapfile -t processes < <(ip netns pids "isp$1")
  kill -KILL "${processes[@]}"
}

# ---- The router's end ------------------------------------------------------------------------------------------------

line_up() { # LINE OPTION...
  printf '%s\n' "plugin pppoe.so" "nic-wan$1" "user line$1" "ipparam line$1" "unit $1" noauth noipdefault +ipv6 persist \
    'maxfail 0' 'holdoff 1' 'lcp-echo-interval 1' 'lcp-echo-failure 3' 'mtu 1492' 'mru 1492' \
    "${@:2}" >"/etc/ppp/peers/line$1"
  ip link set "wan$1" up
  systemd-run --quiet --collect --unit "line$1" pppd call "line$1" nodetach
}

line_down() { systemctl stop "line$1.service"; } # LINE

# A PPP line has no gateway.
default_by() { # FAMILY WAN
  local device=wan$2
  [[ ! -e /etc/ppp/peers/line$2 ]] || device=ppp$2
  [[ $(ip "-$1" route show default dev "$device" 2>/dev/null) == default* ]]
}

line_has_address() { [[ $(ip -4 addr show dev "ppp$1" 2>/dev/null) == *inet* && $(ip -6 addr show dev "ppp$1" scope global) == *inet6* ]]; } # LINE
has_no_line() { [[ ! -e /sys/class/net/ppp$1 ]]; } # LINE

# With metrics, the order in which the WANs get their default routes does not matter.
own_metric() { echo $(($1 * 100 + 100)) >"/etc/ppp/line$1.metric"; } # LINE

manager_up() {
  line_up 0 "${line_options[@]}"
  await 30 'the line' default_by 4 0
  await 10 'IPv6 on the line' default_by 6 0
  wan_network 1
  # pppd adds its IPv6 default without a metric, and the kernel makes that 1024: wan1's must be higher.
  sed -i '/^.IPv6AcceptRA.$/,$s/^RouteMetric=.*/RouteMetric=2000/' /etc/systemd/network/10-wan1.network
  systemctl restart systemd-networkd.service
}
manager_down() {
  line_down 0
  systemctl stop systemd-networkd.socket systemd-networkd.service
  ip link set wan1 down
  ip addr flush dev wan1
}
tunnels_up() { tunnels_by_hand; }
tunnels_down() { tunnels_by_hand_down; }

# IPv6CP interface identifiers differ each time, and so does the order of lines sorted by them.
comparable() { sed -E '/^(local |anycast )?fe80::[0-9a-f]/d; s/fe80::[0-9a-f:]+/fe80::/g' | sort; }

providers_up() {
  provider_up 1 198.51.100.10 198.51.100.1 2001:db8:20:: low
  concentrator_up 0
}

# ---- Events ----------------------------------------------------------------------------------------------------------

its_concentrator_dies() { # LINE
  local began
  note "the concentrator of line $1 dies, and assigns another address when it is back"
  counters_reset
  began=$(now_us)
  concentrator_dies "$1"
  await 20 'pppd notices the missing answers' has_no_line "$1"
  note "noticed after $((($(now_us) - began) / 1000)) ms"
  await_carried_by 1 'without the line'
  sed -i "s/\b${line_address[0]//./\\.}\b/192.0.2.77/g" "$case_results/alone"
  line_address[0]=192.0.2.77
  counters_reset
  concentrator_up 0
  await_wans 'dialled again'
  await_carried_by 0 'dialled again'
  await_in_force 'dialled again'
  check 'the old address is gone from our state' absent_from_own_state 192.0.2.10
  nothing_to_complain_of 'dialled again'
}

# pppd hangs up properly and dials again.
it_dials_again() {
  note 'pppd hangs up and dials again'
  counters_reset
  systemctl kill --signal HUP line0.service
  await 10 'hung up' has_no_line 0
  await_wans 'redialled'
  await_carried_by 0 'redialled'
  await_in_force 'redialled'
}

# pppd adds no default route if there is another one, so the line is up but not a WAN until someone adds the route.
it_makes_no_default() {
  note 'pppd adds no default route, because there is another one'
  counters_reset
  concentrator_dies 0
  await 20 'pppd notices the missing answers' has_no_line 0
  await_carried_by 1 'without the line'
  concentrator_up 0
  await 30 'dialled again' line_has_address 0
  await_in_force 'a line without a default route'
  carried_by 1 'a line without a default route'
  nothing_to_complain_of 'a line without a default route'
  ip route add default dev ppp0 metric 1
  ip -6 route add default dev ppp0 metric 1
  await_carried_by 0 'a default route added by hand'
}

# Both lines have the same remote address, as two lines of one provider may.
two_lines_to_one_address() {
  note 'two lines to the same remote address'
  line_down 0
  systemctl stop systemd-networkd.socket systemd-networkd.service
  ip addr flush dev wan1
  own_metric 0
  own_metric 1
  concentrator_up 1
  line_up 0
  line_up 1
  await_wans 'both lines'
  tunnels_up
  systemctl start wgsteer.service
  pings_start wg0 wg1
  counters_reset
  await_carried_by 0 'both lines'
  await_in_force 'both lines'
  nothing_to_complain_of 'both lines'
  concentrator_dies 0
  await 20 'pppd notices the missing answers' has_no_line 0
  await_carried_by 1 'the second line'
  concentrator_up 0
  await_wans 'both lines again'
  await_carried_by 0 'both lines again'
  await_in_force 'both lines again'
}

case_pppoe() {
  line_options=()
  ppp_files
  own_metric 0
  manager_is_alone
  wgsteer_comes_after_it
  its_concentrator_dies 0
  it_dials_again
  wgsteer_goes

  rm /etc/ppp/line0.metric
  line_options=(defaultroute defaultroute6)
  wgsteer_comes_before_it
  it_makes_no_default
  pings_stop
  wgsteer flush >/dev/null
  tunnels_down
  two_lines_to_one_address
}
