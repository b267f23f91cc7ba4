// SPDX-License-Identifier: GPL-2.0-or-later
#include "dns/fixture.hpp"

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace wgsteer::dns::test {

namespace {

os::Fd bound(const std::string& address, int type) {
  os::Fd fd{::socket(AF_INET, type | SOCK_CLOEXEC, 0)};
  sockaddr_in local{};
  local.sin_family = AF_INET;
  local.sin_port = htons(53);
  EXPECT_EQ(::inet_pton(AF_INET, address.c_str(), &local.sin_addr), 1);
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&local), sizeof local), 0) << std::strerror(errno);
  EXPECT_TRUE(type == SOCK_DGRAM || ::listen(fd.get(), 5) == 0);
  return fd;
}

}  // namespace

FakeServer::FakeServer(os::EventLoop& loop, const std::string& address, Answers answers)
    : loop_(loop), answers_(std::move(answers)), udp_(bound(address, SOCK_DGRAM)), tcp_(bound(address, SOCK_STREAM)) {
  EXPECT_TRUE(loop_.watch(udp_.get(), [this] { onDatagram(); }));
  EXPECT_TRUE(loop_.watch(tcp_.get(), [this] { onConnection(); }));
}

FakeServer::~FakeServer() {
  for (const auto& [descriptor, connection] : connections_) loop_.unwatch(descriptor);
  loop_.unwatch(udp_.get());
  loop_.unwatch(tcp_.get());
}

void FakeServer::onDatagram() {
  std::array<char, 4096> buffer{};
  sockaddr_in from{};
  socklen_t length = sizeof from;
  const ssize_t size =
      ::recvfrom(udp_.get(), buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from), &length);
  if (size < 12) return;
  queries.push_back(parseQuery({buffer.data(), static_cast<std::size_t>(size)}, false));
  for (const std::string& message : answers_(queries.back()))
    ::sendto(udp_.get(), message.data(), message.size(), 0, reinterpret_cast<const sockaddr*>(&from), length);
}

void FakeServer::onConnection() {
  os::Fd connection{::accept4(tcp_.get(), nullptr, nullptr, SOCK_CLOEXEC)};
  const int descriptor = connection.get();
  ASSERT_GE(descriptor, 0);
  EXPECT_TRUE(loop_.watch(descriptor, [this, descriptor] { onStream(descriptor); }));
  connections_.emplace(descriptor, std::move(connection));
}

void FakeServer::onStream(int connection) {
  std::array<char, 4096> buffer{};
  const ssize_t size = ::recv(connection, buffer.data(), buffer.size(), 0);
  if (size <= 14) {
    loop_.unwatch(connection);
    connections_.erase(connection);
    return;
  }
  // c-ares may put both questions into one segment.
  std::string_view received{buffer.data(), static_cast<std::size_t>(size)};
  while (received.size() > 2) {
    const auto length = static_cast<std::size_t>(static_cast<unsigned char>(received[0]) * 256 +
                                                 static_cast<unsigned char>(received[1]));
    queries.push_back(parseQuery(std::string{received.substr(2, length)}, true));
    received.remove_prefix(std::min(received.size(), length + 2));
    for (const std::string& message : answers_(queries.back())) {
      const std::string framed = number16(static_cast<unsigned>(message.size())) + message;
      EXPECT_EQ(::send(connection, framed.data(), framed.size(), MSG_NOSIGNAL), static_cast<ssize_t>(framed.size()));
    }
  }
}

ServerProcess::ServerProcess(const std::vector<std::string>& command, const std::string& ready,
                             const std::function<void(int)>& connect) {
  std::array<int, 2> output{};
  std::array<int, 2> unshared{};
  std::array<int, 2> go{};
  EXPECT_EQ(::pipe2(output.data(), O_CLOEXEC), 0);
  EXPECT_EQ(::pipe2(unshared.data(), O_CLOEXEC), 0);
  EXPECT_EQ(::pipe2(go.data(), O_CLOEXEC), 0);
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  char byte = 0;
  process_ = ::fork();
  if (process_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (connect && ::unshare(CLONE_NEWNET) != 0) ::_exit(126);
    if (::write(unshared[1], &byte, 1) != 1 || ::read(go[0], &byte, 1) != 1) ::_exit(126);
    ::dup2(output[1], 1);
    ::dup2(output[1], 2);
    ::execvp(arguments[0], arguments.data());
    ::_exit(127);
  }
  ::close(output[1]);
  ::close(unshared[1]);
  ::close(go[0]);
  output_.reset(output[0]);
  EXPECT_EQ(::read(unshared[0], &byte, 1), 1);
  if (connect) connect(process_);
  EXPECT_EQ(::write(go[1], &byte, 1), 1);
  ::close(unshared[0]);
  ::close(go[1]);
  while (text_.find(ready) == std::string::npos && readMore(10000)) {
  }
  EXPECT_NE(text_.find(ready), std::string::npos) << command[0] << " did not start:\n" << text_;
}

ServerProcess::~ServerProcess() {
  ::kill(process_, SIGKILL);
  while (::waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

bool ServerProcess::readMore(int timeoutMs) {
  pollfd ready{.fd = output_.get(), .events = POLLIN, .revents = 0};
  if (::poll(&ready, 1, timeoutMs) != 1) return false;
  std::array<char, 4096> buffer{};
  const ssize_t size = ::read(output_.get(), buffer.data(), buffer.size());
  if (size <= 0) return false;
  text_.append(buffer.data(), static_cast<std::size_t>(size));
  return true;
}

std::string ServerProcess::output() {
  while (readMore(0)) {
  }
  return text_;
}

std::vector<std::string> dnsmasq(std::vector<std::string> options, const std::string& address) {
  std::vector<std::string> command{
      "dnsmasq",     "--no-daemon", "--conf-file=/dev/null", "--user=root",
      "--no-resolv", "--no-hosts",  "--bind-interfaces",     "--listen-address=" + address};
  command.insert(command.end(), options.begin(), options.end());
  return command;
}

ResolverTest::ResolverTest() : loop_(std::move(*os::EventLoop::create())) {
  write("resolv.conf", "nameserver 127.0.0.1\n");
}

void ResolverTest::write(const std::string& name, const std::string& text) const {
  std::ofstream{folder_ + "/" + name} << text;
}

Resolver ResolverTest::resolver(ResolverOptions options) {
  options.resolvConf = folder_ + "/resolv.conf";
  auto created = Resolver::create(std::move(options));
  EXPECT_TRUE(created) << created.error().what;
  return std::move(*created);
}

void ResolverTest::runUntil(Resolver& resolver, const std::function<bool()>& done) {
  auto deadline = std::move(*os::Timer::create());
  deadline.arm(std::chrono::seconds{10});
  EXPECT_TRUE(loop_.watch(deadline.descriptor(), [&] {
    ADD_FAILURE() << "nothing in ten seconds";
    loop_.stop();
  }));
  EXPECT_TRUE(loop_.watch(resolver.descriptor(), [&] { resolver.process(); }));
  loop_.afterEach([&] {
    if (done()) loop_.stop();
  });
  EXPECT_TRUE(loop_.run());
  loop_.afterEach({});
  loop_.unwatch(resolver.descriptor());
  loop_.unwatch(deadline.descriptor());
}

ResolveResult ResolverTest::ask(Resolver& resolver, const std::string& name, Families families) {
  std::optional<ResolveResult> result;
  resolver.resolve(name, families, [&](const ResolveResult& answer) {
    EXPECT_FALSE(result) << "called twice";
    result = answer;
  });
  EXPECT_FALSE(result) << "called from resolve()";
  runUntil(resolver, [&] { return result.has_value(); });
  return result.value_or(std::unexpected(ResolveError{}));
}

}  // namespace wgsteer::dns::test
