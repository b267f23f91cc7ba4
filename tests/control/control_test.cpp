// SPDX-License-Identifier: GPL-2.0-or-later
// The control socket under hostile clients: none of them may harm the others or the daemon.
#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <grp.h>
#include <gtest/gtest.h>
#include <memory>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <string>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "control/control_client.hpp"
#include "control/control_server.hpp"
#include "control/control_socket.hpp"
#include "support/netns.hpp"

namespace wgsteer {
namespace {

using namespace std::chrono_literals;

constexpr uid_t kNobody = 65534;
constexpr gid_t kGroup = 4711;

class Client {
 public:
  explicit Client(std::string_view as = kControlName) : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const ControlAddress name = controlAddress(as);
    EXPECT_EQ(connect(socket_.get(), reinterpret_cast<const sockaddr*>(&name.address), name.length), 0);
    // Longer than anything here may take: a test that runs into it fails.
    const timeval patience{.tv_sec = 10, .tv_usec = 0};
    setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  }

  /// False if the other side does not accept it any more.
  bool say(const std::string& text) {
    return send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
  }

  /// Without its newline; empty if the connection was closed, "(nothing)" if that took too long.
  std::string line() {
    std::string received;
    char byte = 0;
    ssize_t size = 0;
    while ((size = read(socket_.get(), &byte, 1)) == 1 && byte != '\n') received += byte;
    return size < 0 && errno == EAGAIN ? "(nothing)" : received;
  }

  bool isAnswered(std::chrono::milliseconds within) {
    pollfd answer{.fd = socket_.get(), .events = POLLIN, .revents = 0};
    return poll(&answer, 1, static_cast<int>(within.count())) == 1;
  }

  bool readNoMore() { return shutdown(socket_.get(), SHUT_RD) == 0; }

  /// Without reading anything meanwhile.
  bool isLetGo() {
    pollfd hangUp{.fd = socket_.get(), .events = 0, .revents = 0};
    return poll(&hangUp, 1, 10000) == 1 && (hangUp.revents & POLLHUP) != 0;
  }

 private:
  os::Fd socket_;
};

const std::string kStatus = "{\"version\":1,\"request\":\"status\"}\n";
const std::string kMonitor = "{\"version\":1,\"request\":\"monitor\"}\n";

class ControlTest : public test::OwnNetwork {
 protected:
  void serve(ControlServer::Limits limits = {.clients = 4, .silence = 10s}, ControlAccess access = ControlAccess{}) {
    auto opened = ControlServer::open(access, limits);
    ASSERT_TRUE(opened) << opened.error().what;
    server_ = std::make_unique<ControlServer>(std::move(*opened));
    auto loop = os::EventLoop::create();
    ASSERT_TRUE(loop);
    loop_ = std::make_unique<os::EventLoop>(std::move(*loop));
    ASSERT_TRUE(loop_->watch(wanted_.get(), [this] { onWanted(); }));
    ASSERT_TRUE(server_->serve(*loop_, [this](const nlohmann::json&) {
      if (onRequest_) onRequest_();
      return nlohmann::json{{"ok", true}, {"status", answer_}};
    }));
    loop_->afterEach([this] { ++rounds_; });
    thread_ = std::thread{[this] { EXPECT_TRUE(loop_->run()); }};
  }

  void TearDown() override {
    if (thread_.joinable()) {
      inLoop([this] { loop_->stop(); });
      thread_.join();
    }
  }

  /// Runs something in the server's thread, the only one that may touch the server, and waits for it.
  void inLoop(std::function<void()> what) {
    task_ = std::move(what);
    const std::uint64_t one = 1;
    ASSERT_EQ(write(wanted_.get(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
    std::uint64_t done = 0;
    ASSERT_EQ(read(done_.get(), &done, sizeof done), static_cast<ssize_t>(sizeof done));
  }

  static bool answers() {
    const auto reply = askDaemon("status");
    return reply && reply->at("status") == "as it is";
  }

  std::string answer_ = "as it is";
  std::function<void()> onRequest_;
  os::Fd stranger_;
  std::unique_ptr<ControlServer> server_;
  std::atomic<unsigned> rounds_ = 0;

 private:
  void onWanted() {
    std::uint64_t count = 0;
    ASSERT_EQ(read(wanted_.get(), &count, sizeof count), static_cast<ssize_t>(sizeof count));
    task_();
    ASSERT_EQ(write(done_.get(), &count, sizeof count), static_cast<ssize_t>(sizeof count));
  }

  os::Fd wanted_{eventfd(0, EFD_CLOEXEC)};
  os::Fd done_{eventfd(0, EFD_CLOEXEC)};
  std::function<void()> task_;
  std::unique_ptr<os::EventLoop> loop_;
  std::thread thread_;
};

/// The first line that a process with that user and these groups receives.
std::string toldAs(uid_t user, gid_t group, std::vector<gid_t> supplementary) {
  std::array<int, 2> ends{};
  EXPECT_EQ(pipe(ends.data()), 0);
  const pid_t child = fork();
  if (child == 0) {
    if (setgroups(supplementary.size(), supplementary.data()) != 0 || setgid(group) != 0 || setuid(user) != 0) _exit(1);
    Client client;
    client.say(kStatus);
    const std::string line = client.line();
    _exit(write(ends[1], line.data(), line.size()) == static_cast<ssize_t>(line.size()) ? 0 : 1);
  }
  close(ends[1]);
  std::string told(4096, '\0');
  const ssize_t size = read(ends[0], told.data(), told.size());
  close(ends[0]);
  told.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
  EXPECT_EQ(waitpid(child, nullptr, 0), child);
  return told;
}

TEST_F(ControlTest, RootAndTheGroupMayAskAndNobodyElse) {
  serve({.clients = 4, .silence = 10s}, ControlAccess{kGroup});
  EXPECT_NE(toldAs(0, 0, {}).find("as it is"), std::string::npos);
  EXPECT_NE(toldAs(kNobody, kGroup, {}).find("as it is"), std::string::npos);
  std::vector<gid_t> many{kGroup};
  for (gid_t other = 5000; other < 5100; ++other) many.push_back(other);
  EXPECT_NE(toldAs(kNobody, kNobody, many).find("as it is"), std::string::npos);
  EXPECT_NE(toldAs(kNobody, kNobody, {kGroup + 1}).find("only root and the group wgsteer"), std::string::npos);
  EXPECT_NE(toldAs(kNobody, kNobody, {}).find("only root and the group wgsteer"), std::string::npos);
}

TEST_F(ControlTest, WithoutTheGroupOnlyRootMayAsk) {
  serve();
  EXPECT_NE(toldAs(kNobody, kNobody, {}).find("only root"), std::string::npos);
  EXPECT_TRUE(answers());
}

TEST_F(ControlTest, GarbageIsAnsweredWithAnError) {
  serve();
  for (const char* text :
       {"\n", "x\n", "[]\n", "{}\n", "{\"version\":1}\n", "{\"request\":1,\"version\":1}\n", "\xff\xfe\n",
        "{\"version\":2,\"request\":\"status\"}\n", "{\"version\":1,\"request\":\"status\"\n"}) {
    Client client;
    ASSERT_TRUE(client.say(text));
    EXPECT_NE(client.line().find("\"ok\":false"), std::string::npos) << text;
    ASSERT_TRUE(client.say(kStatus)) << "and the connection goes on";
    EXPECT_NE(client.line().find("as it is"), std::string::npos) << text;
  }
}

TEST_F(ControlTest, DeepNestingIsNoDepthOfStack) {
  serve();
  Client client;
  ASSERT_TRUE(client.say(std::string(kMaxRequest - 1, '[') + "\n"));
  EXPECT_NE(client.line().find("\"ok\":false"), std::string::npos);
}

TEST_F(ControlTest, ALineWithoutEndIsCut) {
  serve();
  Client client;
  const std::string part(1000, 'x');
  bool taken = true;
  for (int i = 0; i < 1000 && taken; ++i) taken = client.say(part);
  EXPECT_TRUE(client.isLetGo());
  EXPECT_TRUE(answers());
}

TEST_F(ControlTest, ARequestMayComeInPiecesAndSeveralAtOnce) {
  serve();
  Client client;
  for (const char each : kStatus) ASSERT_TRUE(client.say(std::string(1, each)));
  EXPECT_NE(client.line().find("as it is"), std::string::npos);
  ASSERT_TRUE(client.say(kStatus + kStatus + kStatus));
  for (int i = 0; i < 3; ++i) EXPECT_NE(client.line().find("as it is"), std::string::npos);
}

TEST_F(ControlTest, SilentClientsAreLetGo) {
  serve({.clients = 4, .silence = 200ms});
  std::vector<Client> silent(4);
  // A few bytes are not a request.
  for (Client& client : silent) client.say("{");
  for (Client& client : silent) EXPECT_TRUE(client.isLetGo());
  EXPECT_TRUE(answers());
}

TEST_F(ControlTest, RootAlwaysGetsInAndWhoeverWasSilentForLongestMakesRoom) {
  serve({.clients = 4, .silence = 60s});
  Client watcher;
  ASSERT_TRUE(watcher.say(kMonitor));
  EXPECT_NE(watcher.line().find("\"ok\":true"), std::string::npos);
  std::vector<Client> silent(3);
  for (Client& client : silent) {
    ASSERT_TRUE(client.say(kStatus));
    EXPECT_NE(client.line().find("as it is"), std::string::npos);
  }
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(answers());
  EXPECT_TRUE(silent[0].isLetGo());
  inLoop([this] { server_->publish({{"event", "something"}}); });
  EXPECT_NE(watcher.line().find("something"), std::string::npos) << "who watches stays";
}

TEST_F(ControlTest, WhereAllWatchTheFirstMakesRoomForRoot) {
  serve({.clients = 2, .silence = 60s});
  std::vector<Client> watchers(2);
  for (Client& client : watchers) {
    ASSERT_TRUE(client.say(kMonitor));
    EXPECT_NE(client.line().find("\"ok\":true"), std::string::npos);
  }
  EXPECT_TRUE(answers());
  EXPECT_TRUE(watchers[0].isLetGo());
}

TEST_F(ControlTest, TheGroupDoesNotDriveAnybodyOut) {
  serve({.clients = 2, .silence = 60s}, ControlAccess{kGroup});
  std::vector<Client> silent(2);
  EXPECT_NE(toldAs(kNobody, kGroup, {}).find("too many clients"), std::string::npos);
  for (Client& client : silent) {
    ASSERT_TRUE(client.say(kStatus));
    EXPECT_NE(client.line().find("as it is"), std::string::npos);
  }
}

/// A watcher that no longer reads requests something that is published to watchers: it is disconnected while it is
/// being served.
TEST_F(ControlTest, ARequestMayLetItsOwnClientGo) {
  onRequest_ = [this] {
    server_->publish({{"event", "something"}});
    // The owner of the next descriptor would get the reply.
    stranger_ = os::Fd{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  };
  serve();
  for (int i = 0; i < 20; ++i) {
    Client client;
    ASSERT_TRUE(client.say(kMonitor));
    EXPECT_NE(client.line().find("\"ok\":true"), std::string::npos);
    ASSERT_TRUE(client.readNoMore());
    client.say(kStatus + kStatus + std::string(300, 'x'));
    EXPECT_TRUE(client.isLetGo());
  }
  std::uint64_t written = 0;
  inLoop(
      [&] { EXPECT_LT(read(stranger_.get(), &written, sizeof written), 0) << "a reply went to a foreign descriptor"; });
  onRequest_ = {};
  EXPECT_TRUE(answers());
}

TEST_F(ControlTest, WhoeverWatchesMayBeSilent) {
  serve({.clients = 4, .silence = 200ms});
  Client watcher;
  ASSERT_TRUE(watcher.say(kMonitor));
  EXPECT_NE(watcher.line().find("\"ok\":true"), std::string::npos);
  Client silent;
  EXPECT_TRUE(silent.isLetGo()) << "which took as long as the watcher was allowed";
  inLoop([this] { server_->publish({{"event", "something"}}); });
  EXPECT_NE(watcher.line().find("something"), std::string::npos);
}

TEST_F(ControlTest, AWatcherThatDoesNotReadIsLetGo) {
  serve();
  Client deaf;
  ASSERT_TRUE(deaf.say(kMonitor));
  EXPECT_NE(deaf.line().find("\"ok\":true"), std::string::npos);
  const nlohmann::json document{{"event", std::string(1 << 20, 'x')}};
  inLoop([this, &document] {
    for (int i = 0; i < 64 && server_->watched(); ++i) server_->publish(document);
    EXPECT_FALSE(server_->watched());
  });
  EXPECT_TRUE(answers());
}

TEST_F(ControlTest, WhoeverAsksAndDoesNotReadIsLetGo) {
  answer_ = std::string(1 << 20, 'x');
  serve();
  Client deaf;
  for (int i = 0; i < 64; ++i) deaf.say(kStatus);
  EXPECT_TRUE(deaf.isLetGo());
  Client reader;
  ASSERT_TRUE(reader.say(kStatus));
  EXPECT_GT(reader.line().size(), answer_.size());
}

/// Leaves room for only one more descriptor as long as it lives.
class OneMoreDescriptor {
 public:
  OneMoreDescriptor() {
    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &before_), 0);
    const os::Fd lowestFree{dup(STDERR_FILENO)};
    const rlimit one{.rlim_cur = static_cast<rlim_t>(lowestFree.get()) + 1, .rlim_max = before_.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &one), 0);
  }
  ~OneMoreDescriptor() { setrlimit(RLIMIT_NOFILE, &before_); }
  OneMoreDescriptor(const OneMoreDescriptor&) = delete;
  OneMoreDescriptor& operator=(const OneMoreDescriptor&) = delete;

 private:
  rlimit before_{};
};

TEST_F(ControlTest, WithoutADescriptorForTheNextItWaitsAndDoesNotSpin) {
  serve();
  auto few = std::make_unique<OneMoreDescriptor>();
  Client client;
  ASSERT_TRUE(client.say(kStatus));
  EXPECT_FALSE(client.isAnswered(300ms));
  EXPECT_LE(rounds_, 2U);
  few.reset();
  EXPECT_NE(client.line().find("as it is"), std::string::npos);
}

TEST_F(ControlTest, ASecondDaemonIsRefused) {
  serve();
  const auto second = ControlServer::open(ControlAccess{});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::alreadyThere);
}

/// Holds the name as long as it lives, as the user nobody.
class Squatter {
 public:
  explicit Squatter(const std::string& as) {
    EXPECT_EQ(pipe(ready_.data()), 0);
    EXPECT_EQ(pipe(over_.data()), 0);
    process_ = fork();
    if (process_ == 0) {
      close(over_[1]);
      const os::Fd held{socket(AF_UNIX, SOCK_STREAM, 0)};
      const ControlAddress name = controlAddress(as);
      char byte = 0;
      if (setuid(kNobody) != 0 ||
          bind(held.get(), reinterpret_cast<const sockaddr*>(&name.address), name.length) != 0 ||
          listen(held.get(), 4) != 0 || write(ready_[1], &byte, 1) != 1)
        _exit(1);
      _exit(read(over_[0], &byte, 1) == 0 ? 0 : 1);
    }
    char byte = 0;
    EXPECT_EQ(read(ready_[0], &byte, 1), 1);
  }
  ~Squatter() {
    for (const int each : {ready_[0], ready_[1], over_[0], over_[1]}) close(each);
    EXPECT_EQ(waitpid(process_, nullptr, 0), process_);
  }
  Squatter(const Squatter&) = delete;
  Squatter& operator=(const Squatter&) = delete;

 private:
  std::array<int, 2> ready_{};
  std::array<int, 2> over_{};
  pid_t process_ = -1;
};

TEST_F(ControlTest, UnderAStrangersNameThereIsNoDaemon) {
  const Squatter squatter{std::string{kControlName}};
  const auto reply = askDaemon("status");
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().kind, ErrorKind::notThere) << "so what the kernel has is looked at";
}

TEST_F(ControlTest, WhereAStrangerHasTheNameItServesUnderAnother) {
  const Squatter squatter{std::string{kControlName}};
  const Squatter other{"wgsteer.0123456789abcdef"};
  serve();
  EXPECT_FALSE(server_->isUnderOwnName());
  EXPECT_TRUE(answers()) << "found all the same";
  const auto second = ControlServer::open(ControlAccess{});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::alreadyThere);
}

TEST_F(ControlTest, ItTakesItsNameWhenTheStrangerHasLeft) {
  auto squatter = std::make_unique<Squatter>(std::string{kControlName});
  serve();
  Client before{server_->name()};
  inLoop([this] { EXPECT_FALSE(server_->takeOwnName()); });
  EXPECT_TRUE(answers());
  squatter.reset();
  const auto second = ControlServer::open(ControlAccess{});
  ASSERT_FALSE(second) << "the name is free, but a daemon runs";
  EXPECT_EQ(second.error().kind, ErrorKind::alreadyThere);
  inLoop([this] {
    EXPECT_TRUE(server_->takeOwnName());
    EXPECT_FALSE(server_->takeOwnName()) << "once";
    EXPECT_EQ(server_->name(), kControlName);
  });
  EXPECT_TRUE(answers());
  ASSERT_TRUE(before.say(kStatus)) << "clients stay";
  EXPECT_NE(before.line().find("as it is"), std::string::npos);
  EXPECT_FALSE(ControlServer::open(ControlAccess{}));
}

TEST_F(ControlTest, ADaemonThatLetsNobodyInForAMomentIsStillOne) {
  const auto listener = listenUnderOwnName(4);
  ASSERT_TRUE(listener);
  Client waiting;
  const auto late = ControlServer::open(ControlAccess{});
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().kind, ErrorKind::alreadyThere);
}

}  // namespace
}  // namespace wgsteer
