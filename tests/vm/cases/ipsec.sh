# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2034,SC2154 # for neighbours.sh, and set by it
#
# strongSwan's charon with IPsec of the kernel: a site (10.61.0.0/24) behind a responder at the server, with the peer of a
# third tunnel, wgi, in it. By policies and table 220, past the tunnels and in one of them; and by an xfrm interface.

# shellcheck source=../neighbours.sh
. /test/neighbours.sh

alone=()
devices=(wan0 wan1 wg0 wg1 wgi)

readonly kResponder=203.0.113.56 kInnerPort=51822
readonly kInnerKey=SH6Z+Kj//Ch7KHvmY4LT2AG5wqUoYtyvA4Upa8Tt8G0= kSiteKey=IImmaPOjN3c0siISiUfB3Q7KtIHXwSGKTZvaa5RQDkw=

versions() { swanctl --version 2>/dev/null | head -n 1; }

# ---- IPsec ------------------------------------------------------------------------------------------------------------

connection() { # FOLDER REMOTE-ADDRESS LOCAL-ID REMOTE-ID LOCAL-NETWORK REMOTE-NETWORK ACTION [OPTION]...
  mkdir -p "$1"
  cat >"$1/swanctl.conf" <<CONF
connections {
  site {
    version = 2
    remote_addrs = $2
    proposals = aes128-sha256-modp2048
    mobike = no
    dpd_delay = 5s
    $(printf '%s\n    ' "${@:8}")
    local {
      auth = psk
      id = $3
    }
    remote {
      auth = psk
      id = $4
    }
    children {
      site {
        local_ts = $5
        remote_ts = $6
        esp_proposals = aes128-sha256
        start_action = $7
        dpd_action = restart
      }
    }
  }
}
secrets {
  ike {
    secret = "of the test"
  }
}
CONF
}

# Another charon, with files and sockets of its own.
responder_up() {
  connection /srv/responder %any server router 10.61.0.0/24 10.60.0.1/32 none
  cat >/srv/responder/strongswan.conf <<CONF
charon-systemd {
  load_modular = yes
  plugins {
    include /etc/strongswan.d/charon/*.conf
  }
  start-scripts {
    all = swanctl --load-all --noprompt
  }
  filelog {
    log {
      path = $case_results/responder.log
      default = 1
      flush_line = yes
    }
  }
}
CONF
  ip -n server addr add 10.61.0.5/32 dev lo
  ip netns exec server env STRONGSWAN_CONF=/srv/responder/strongswan.conf sh -c 'mount --bind /srv/responder /etc/swanctl &&
    mount -t tmpfs tmpfs /run && exec charon-systemd' >"$case_results/responder" 2>&1 &
  await 30 'the responder' grep -qs "added vici connection" "$case_results/responder.log"
}

charon_up() {
  systemctl start strongswan.service || fail "charon: $(journalctl --unit strongswan --output cat | tail -n 20)"
}
charon_down() { systemctl stop strongswan.service; }

site_is_reached() { ping -n -q -c 1 -W 1 -I 10.60.0.1 10.61.0.5 >/dev/null 2>&1; }

await_site() { await 30 "$1: the site" site_is_reached; } # DESCRIPTION

# What leaves for the site in ESP, and what leaves in clear.
count_ipsec() {
  local isp
  for isp in isp0 isp1; do
    in_namespace "$isp" nft -f - <<'RULES'
table inet for_the_site {
  counter sealed { }
  counter clear { }
  chain from_customer {
    type filter hook prerouting priority -400; policy accept;
    iifname "customer" ip protocol 50 counter name sealed
    iifname "customer" ip daddr 10.61.0.0/24 counter name clear
  }
}
RULES
  done
}

esp_by() { named_counter "isp$1" for_the_site sealed; } # WAN
clear_by() { named_counter "isp$1" for_the_site clear; } # WAN

# ---- The tunnel to the site -------------------------------------------------------------------------------------------

inner_server_up() {
  server_tunnel_up wgs2 "$kSiteKey" "$kInnerPort" "$kInnerKey" 10.97.0.2 10.97.0.1
}

inner_begins_anew() {
  wg set wgi peer "$(public_key "$kSiteKey")" remove
  wg set wgi peer "$(public_key "$kSiteKey")" endpoint "10.61.0.5:$kInnerPort" allowed-ips 10.97.0.1/32
}

inner_up() {
  ip link add wgi type wireguard
  wg set wgi private-key /dev/stdin <<<"$kInnerKey"
  ip addr add 10.97.0.2/24 dev wgi
  ip link set wgi up
  inner_begins_anew
}

inner_works() { ping -n -q -c 1 -W 1 10.97.0.1 >/dev/null 2>&1; }

# A handshake from the beginning, in ESP: the server sees the address behind it, and no ISP sees the site's.
inner_is_in_ipsec() { # DESCRIPTION
  local before
  before=$(clear_by 0),$(clear_by 1)
  inner_begins_anew
  await 20 "$1: the tunnel to the site" inner_works
  [[ $(in_namespace server wg show wgs2 endpoints) == *10.60.0.1:* ]] ||
    fail "$1: not in ESP: $(in_namespace server wg show wgs2 endpoints)"
  equal "$1: packets to the site in clear" "$before" "$(clear_by 0),$(clear_by 1)"
}

# ---- For neighbours.sh ------------------------------------------------------------------------------------------------

manager_up() {
  networkd_has_wans
  await_wans 'WANs'
  ip addr add 10.60.0.1/32 dev lo
  ip route add "$kResponder" via 192.0.2.1 dev wan0
  count_ipsec
  inner_server_up
  responder_up
  connection /etc/swanctl "$kResponder" router server 10.60.0.1/32 10.61.0.0/24 start
  charon_up
  await_site 'alone'
  inner_up
  inner_is_in_ipsec 'alone'
}

tunnels_up() { tunnels_by_hand; }

policies() { ip xfrm policy | grep -A 1 '^src 10\.6' | sort; }

case_ipsec() {
  manager_is_alone
  policies >"$case_results/policies"
  wgsteer_comes_after_it
  inner_is_in_ipsec 'wgsteer comes later'
  check 'ESP by wan0' at_least 1 esp_by 0
  equal 'ESP by wan1' 0 "$(esp_by 1)"

  note 'charon is restarted'
  counters_reset
  systemctl restart strongswan.service
  await_site 'charon is restarted'
  inner_is_in_ipsec 'charon is restarted'
  carried_by 0 'charon is restarted'
  await_in_force 'charon is restarted'
  nothing_to_complain_of 'charon is restarted'

  # networkd takes the responder's route along, and charon goes by wg0 then.
  its_cable_is_pulled
  await_site 'by the tunnel'
  inner_is_in_ipsec 'by the tunnel'
  ip route replace "$kResponder" via 192.0.2.1 dev wan0
  systemctl restart strongswan.service
  await_site 'by wan0 again'
  inner_is_in_ipsec 'by wan0 again'
  check 'its policies are as they were' diff "$case_results/policies" <(policies)
  wgsteer_goes
  await_site 'without wgsteer'
  inner_is_in_ipsec 'without wgsteer'

  in_a_tunnel
  by_an_interface
}

# The responder is reached by wg0, as all else is: ESP in WireGuard, and the tunnel to the site in both.
in_a_tunnel() {
  local before
  note 'IPsec in the tunnel'
  charon_down
  ip route del "$kResponder"
  systemctl start wgsteer.service
  await_in_force 'charon is stopped'
  counters_reset
  pings_start wg0 wg1
  await_carried_by 0 'charon is stopped'
  before=$(esp_by 0),$(esp_by 1)
  charon_up
  await_site 'in the tunnel'
  inner_is_in_ipsec 'in the tunnel'
  counters_reset
  wan_carrier_down 0
  await_carried_by 1 'in the tunnel, without wan0'
  await_site 'in the tunnel, without wan0'
  inner_is_in_ipsec 'in the tunnel, without wan0'
  wan_carrier_up 0
  await_wans 'wan0 is back'
  await_carried_by 0 'in the tunnel, wan0 is back'
  equal 'no ESP at the ISPs' "$before" "$(esp_by 0),$(esp_by 1)"
  nothing_to_complain_of 'in the tunnel'
}

# A device and a route in place of policies for addresses.
by_an_interface() {
  note 'an xfrm interface'
  charon_down
  ip route add "$kResponder" via 192.0.2.1 dev wan0
  ip link add ipsec0 type xfrm dev lo if_id 42
  ip link set ipsec0 up
  ip route add 10.61.0.0/24 dev ipsec0 src 10.60.0.1
  connection /etc/swanctl "$kResponder" router server 10.60.0.1/32 10.61.0.0/24 start 'if_id_in = 42' 'if_id_out = 42'
  charon_up
  await_site 'by an interface'
  inner_is_in_ipsec 'by an interface'
  counters_reset
  carried_by 0 'by an interface'
  await_in_force 'by an interface'
  wan_link_flaps
  inner_is_in_ipsec 'the other WAN was down'
}

wan_link_flaps() {
  counters_reset
  wan_carrier_down 1
  carried_by 0 'wan1 is down'
  wan_carrier_up 1
  await_wans 'wan1 is back'
}
