// SPDX-License-Identifier: GPL-2.0-or-later
// Whose answers a socket accepts.
#include "netlink/request_socket.hpp"

#include <cerrno>
#include <gtest/gtest.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include "os/fd.hpp"
#include "support/netns.hpp"

namespace wgsteer::netlink {
namespace {

class RequestSocketTest : public wgsteer::test::OwnNetwork {};

TEST_F(RequestSocketTest, NobodyButTheKernelCanSendToIt) {
  for (const int protocol : {NETLINK_ROUTE, NETLINK_NETFILTER, NETLINK_GENERIC}) {
    const auto socket = RequestSocket::open(protocol);
    ASSERT_TRUE(socket) << socket.error().what;
    const os::Fd stranger(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
    ASSERT_TRUE(stranger);
    sockaddr_nl to{};
    to.nl_family = AF_NETLINK;
    to.nl_pid = socket->portId();
    nlmsghdr message{
        .nlmsg_len = sizeof message, .nlmsg_type = NLMSG_DONE, .nlmsg_flags = 0, .nlmsg_seq = 1, .nlmsg_pid = 0};
    const auto sent =
        ::sendto(stranger.get(), &message, sizeof message, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to);
    EXPECT_EQ(sent, -1) << "protocol " << protocol;
    EXPECT_EQ(errno, ECONNREFUSED) << "protocol " << protocol;
  }
}

}  // namespace
}  // namespace wgsteer::netlink
