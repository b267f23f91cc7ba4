# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2034,SC2154 # for neighbours.sh, and set by it
#
# Docker on the router: its bridge, its chains (iptables-nft) and a container that reaches the world by the tunnel, as all
# that the router forwards does, and the ISP's network by the WAN.

# shellcheck source=neighbours.sh
. /test/neighbours.sh

alone=()
devices=(docker0 wan0 wan1 wg0 wg1)

versions() {
  dockerd --version
  containerd --version
  runc --version | head -n 1
  iptables-nft --version
}

image_from() { # NAME ROOT
  tar -c -C "$2" . | docker import - "$1" >>"$case_results/docker.log" 2>&1 || fail "docker import $1: $(tail -n 3 "$case_results/docker.log")"
}

docker_run() { # ARGUMENT...
  docker run "$@" >>"$case_results/docker.log" 2>&1 || fail "docker run: $(tail -n 5 "$case_results/docker.log")"
}

# The daemon in place of the machine: with the root of a busybox, and what is linked to it.
busybox_image() {
  local root=/srv/busybox applet
  mkdir -p "$root"/{bin,etc,proc,root,sys,tmp}
  cp /usr/bin/busybox "$root/bin/"
  for applet in sh ping sleep nslookup; do ln -s busybox "$root/bin/$applet"; done
  image_from busybox "$root"
}

manager_up() {
  networkd_has_wans
  package_script iptables
  mkdir -p /etc/docker
  # Its layers are of a few files.
  echo '{"storage-driver": "vfs"}' >/etc/docker/daemon.json
  package_script docker.io
  systemctl start docker.service || fail "docker: $(journalctl --unit docker --output cat | tail -n 20)"
  busybox_image
  docker_run --detach --name guest --publish 8080:80/udp busybox sleep 1000000
}

tunnels_up() { tunnels_by_hand; }

# A container has another cable each time that it is started, and dockerd makes its chains anew, in another order.
comparable() {
  sed -E 's/veth[0-9a-f]{7}(@if[0-9]+)?/veth/g; s/ fe80::[0-9a-f:]+\/64//g; /^[0-9]+ fe80::[0-9a-f]/d; s/ +/ /g; s/ $//' | sort
}

# 10.99.0.1 is behind the tunnel, 192.0.2.1 is the ISP's router, which sees the WAN's address.
guest_reaches() { # DESCRIPTION ADDRESS...
  local address
  for address in "${@:2}"; do
    docker exec guest ping -c 3 -W 5 "$address" >"$case_results/guest" 2>&1 || fail "$1: $address: $(<"$case_results/guest")"
  done
}

its_cable_is_pulled_for_the_guest() {
  note 'the cable of wan0 is pulled and put back'
  counters_reset
  wan_carrier_down 0
  await_carried_by 1 'without wan0'
  guest_reaches 'without wan0' 10.99.0.1 198.51.100.1
  wan_carrier_up 0
  await_wans 'wan0 is back'
  await_carried_by 0 'wan0 is back'
  guest_reaches 'wan0 is back' 10.99.0.1 192.0.2.1
}
