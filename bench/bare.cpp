// SPDX-License-Identifier: GPL-2.0-or-later
// The smallest possible program that listens to rtnetlink: libmnl, a socket, a buffer.
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>

int main() {
  static char buffer[32768];
  mnl_socket* socket = mnl_socket_open(NETLINK_ROUTE);
  if (socket == nullptr || mnl_socket_bind(socket, RTMGRP_LINK | RTMGRP_IPV4_ROUTE, MNL_SOCKET_AUTOPID) < 0) return 1;
  while (mnl_socket_recvfrom(socket, buffer, sizeof buffer) >= 0) {
  }
  return 0;
}
