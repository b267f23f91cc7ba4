// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/uapi_server.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

namespace wgsteer::netlink::test {

namespace {

std::string readRequest(int connection) {
  std::string request;
  std::array<char, 256> part{};
  while (!request.ends_with("\n\n")) {
    const ssize_t size = ::read(connection, part.data(), part.size());
    if (size <= 0) return request;
    request.append(part.data(), static_cast<std::size_t>(size));
  }
  return request;
}

[[noreturn]] void serve(int socket, const TalkingServer::AnswerTo& answer) {
  for (;;) {
    const os::Fd connection{::accept4(socket, nullptr, nullptr, SOCK_CLOEXEC)};
    if (!connection) ::_exit(1);
    const std::string text = answer(readRequest(connection.get()));
    for (std::size_t sent = 0; sent < text.size();) {
      const ssize_t size = ::send(connection.get(), text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
      if (size <= 0) break;  // the client has given up
      sent += static_cast<std::size_t>(size);
    }
  }
}

}  // namespace

DeafServer::DeafServer(const SocketFolder& folder, const std::string& device, int backlog)
    : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const std::string path = folder.path() + "/" + device + ".sock";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  EXPECT_LT(path.size(), sizeof address.sun_path);
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0)
      << path << ": " << std::strerror(errno);
  EXPECT_EQ(::listen(socket_.get(), backlog), 0);
}

TalkingServer::TalkingServer(const SocketFolder& folder, const std::string& device, const AnswerTo& answer) {
  // It listens before the process exists, so no waiting is needed.
  const DeafServer socket{folder, device};
  process_ = ::fork();
  if (process_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    serve(socket.descriptor(), answer);
  }
  EXPECT_GT(process_, 0) << std::strerror(errno);
}

void TalkingServer::stop() {
  if (process_ <= 0) return;
  ::kill(process_, SIGKILL);
  while (::waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
  }
  process_ = -1;
}

}  // namespace wgsteer::netlink::test
