# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2034,SC2154 # for neighbours.sh, and set by it
#
# wgsteer in a container of Docker's, with the host's network, beside another container.

# shellcheck source=../docker.sh
. /test/docker.sh

wgsteer_image() {
  local root=/srv/wgsteer library
  mkdir -p "$root"/{etc,proc,run,sys,tmp,usr/sbin,var/lib/wgsteer}
  ln -s ../run "$root/var/run"
  cp /usr/sbin/wgsteer "$root/usr/sbin/"
  while read -r library; do
    mkdir -p "$root${library%/*}"
    cp -L "$library" "$root$library"
  done < <(ldd /usr/sbin/wgsteer | grep -o '/[^ ]*')
  image_from wgsteer "$root"
}

# All but the sysctls, which are not for containers to set, and their records.
contained_in_force() { docker exec steering wgsteer plan >"$case_results/plan" 2>&1 || only_sysctls_are_left; }
only_sysctls_are_left() {
  [[ -s $case_results/plan ]] &&
    ! grep -vE '^(sysctl .*|nft add element inet wgsteer (ignore_linkdown[46]|src_valid_mark) .*)?$' "$case_results/plan" | grep -q .
}

findings() { docker exec steering wgsteer check 2>&1 | grep -E '^(problem|conflict|advice): ' || true; }

wgsteer_in_a_container() {
  note 'wgsteer in a container'
  dpkg --force-unsafe-io --purge wgsteer >>"$case_results/dpkg.log" 2>&1
  sysctl -q -w net.ipv4.conf.wan{0,1}.ignore_routes_with_linkdown=0 net.ipv6.conf.wan{0,1}.ignore_routes_with_linkdown=0
  foreign_state >"$case_results/alone"
  docker_run --detach --name steering --cap-add NET_ADMIN --network host --restart unless-stopped wgsteer /usr/sbin/wgsteer run
  await 30 'it has nothing left to do' contained_in_force
  counters_reset
  pings_start wg0 wg1
  await_carried_by 0 'in a container'
  equal 'check says what the kernel will not do by itself' \
    "$(printf 'advice: the kernel goes on using %s without a carrier: only a running daemon moves its tunnels\n' wan0 wan1)" \
    "$(findings)"
  its_cable_is_pulled_for_the_guest

  note 'it is killed, and started again by dockerd'
  counters_reset
  kill -KILL "$(docker inspect --format '{{.State.Pid}}' steering)"
  await 60 'it is back' contained_in_force
  carried_by 0 'it is back'

  note 'it is removed'
  # dockerd would start again what has ended.
  docker update --restart no steering >>"$case_results/docker.log" 2>&1
  docker exec steering wgsteer flush >>"$case_results/docker.log" 2>&1 || true
  docker rm --force steering >>"$case_results/docker.log" 2>&1
  pings_stop
  only_foreign_state 'after flush in a container' "$case_results/alone"
}

case_docker_inside() {
  manager_is_alone
  package_installed
  wgsteer_image
  wgsteer_in_a_container
}
