// SPDX-License-Identifier: GPL-2.0-or-later
// Name servers, ours and real ones, and a resolver that asks them, in one network namespace and one event loop.
#pragma once

#include <chrono>
#include <functional>
#include <gtest/gtest.h>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dns/messages.hpp"
#include "dns/resolver.hpp"
#include "os/event_loop.hpp"
#include "os/timer.hpp"
#include "support/temp_folder.hpp"

namespace wgsteer::dns::test {

/// Answers as a test specifies, even with what no server would send.
class FakeServer {
 public:
  /// The messages sent back, none for silence.
  using Answers = std::function<std::vector<std::string>(const Query& query)>;

  FakeServer(os::EventLoop& loop, const std::string& address, Answers answers);
  ~FakeServer();
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;

  std::vector<Query> queries;  ///< in order of arrival

 private:
  void onDatagram();
  void onConnection();
  void onStream(int connection);

  os::EventLoop& loop_;
  Answers answers_;
  os::Fd udp_;
  os::Fd tcp_;
  std::map<int, os::Fd> connections_;
};

/// A program of its own, which ends with this object, or with the test if that crashes.
class ServerProcess {
 public:
  /// Returns when it has written `ready`. With `connect`, it gets its own network namespace, which `connect` has to
  /// connect with this one before the program starts.
  ServerProcess(const std::vector<std::string>& command, const std::string& ready,
                const std::function<void(int process)>& connect = {});
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  /// All output so far; to be read from time to time, or the program blocks when the pipe is full.
  std::string output();

 private:
  bool readMore(int timeoutMs);
  pid_t process_ = -1;
  os::Fd output_;
  std::string text_;
};

/// dnsmasq at 127.0.0.1 or as given, with these options and no others.
std::vector<std::string> dnsmasq(std::vector<std::string> options, const std::string& address = "127.0.0.1");
inline const std::string kDnsmasqReady = "started, version";

class ResolverTest : public ::testing::Test {
 protected:
  ResolverTest();

  void write(const std::string& name, const std::string& text) const;
  /// Queries 127.0.0.1 unless resolv.conf names another server.
  Resolver resolver(ResolverOptions options = {});
  /// Runs the loop until the answer has arrived.
  ResolveResult ask(Resolver& resolver, const std::string& name, Families families = Families::both);
  /// Until `done`, at most ten seconds.
  void runUntil(Resolver& resolver, const std::function<bool()>& done);

  os::EventLoop loop_;
  wgsteer::test::TempFolder temp_;
  std::string folder_ = temp_.path();
};

}  // namespace wgsteer::dns::test
