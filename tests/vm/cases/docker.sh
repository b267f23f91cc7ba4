# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2034,SC2154 # for neighbours.sh, and set by it
#
# Docker on the router, with a container: dockerd is restarted, containers come and go, the cable of a WAN is pulled.

# shellcheck source=../docker.sh
. /test/docker.sh

it_is_restarted_often() {
  local round
  note 'dockerd is restarted, containers come and go'
  counters_reset
  systemctl restart docker.service
  docker start guest >>"$case_results/docker.log" 2>&1
  for round in 1 2 3; do docker_run --rm busybox ping -c 1 -W 5 10.99.0.1; done
  await_in_force 'dockerd is restarted'
  carried_by 0 'dockerd is restarted'
  guest_reaches 'dockerd is restarted' 10.99.0.1 192.0.2.1
  nothing_to_complain_of 'dockerd is restarted'
}

case_docker() {
  manager_is_alone
  wgsteer_comes_after_it
  guest_reaches 'wgsteer comes later' 10.99.0.1 192.0.2.1
  it_is_restarted_often
  its_cable_is_pulled_for_the_guest
  wgsteer_goes
}
