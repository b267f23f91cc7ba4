// SPDX-License-Identifier: GPL-2.0-or-later
// Real name servers, dnsmasq and unbound; and names for which no server is queried.
#include <algorithm>
#include <fstream>
#include <gtest/gtest.h>
#include <memory>
#include <sched.h>
#include <set>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dns/fixture.hpp"
#include "support/netns.hpp"

namespace wgsteer::dns {
namespace {

using namespace test;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Addresses = std::vector<Address>;
using Replies = std::vector<std::string>;

Address at(std::string_view text) { return *Address::parse(text); }

/// 203.0.113.1 to .50: 800 bytes, more than a datagram without EDNS may have.
Addresses fifty() {
  Addresses all;
  for (std::uint8_t i = 1; i <= 50; ++i) all.push_back(Address::v4(203, 0, 113, i));
  return all;
}

class RealServer : public ResolverTest, public ::testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override { server_ = GetParam() == std::string{"dnsmasq"} ? startDnsmasq() : startUnbound(); }

 private:
  static std::unique_ptr<ServerProcess> startDnsmasq() {
    std::vector<std::string> options{"--local=/example.com/",
                                     "--host-record=vpn.example.com,203.0.113.1,2001:db8::1,300",
                                     "--host-record=vpn.example.com,203.0.113.2,300",
                                     "--host-record=v6.example.com,2001:db8::6,300",
                                     "--cname=alias.example.com,middle.example.com,120",
                                     "--cname=middle.example.com,vpn.example.com,200"};
    for (const Address& address : fifty())
      options.push_back("--host-record=many.example.com," + address.toString() + ",300");
    return std::make_unique<ServerProcess>(dnsmasq(options), kDnsmasqReady);
  }

  std::unique_ptr<ServerProcess> startUnbound() const {
    std::string zone =
        "$ORIGIN example.com.\n@ 300 SOA ns.example.com. root.example.com. 1 3600 900 86400 300\n@ 300 NS ns\n"
        "ns 300 A 203.0.113.53\nvpn 300 A 203.0.113.1\nvpn 300 A 203.0.113.2\nvpn 300 AAAA 2001:db8::1\n"
        "v6 300 AAAA 2001:db8::6\nalias 120 CNAME middle\nmiddle 200 CNAME vpn\n";
    for (const Address& address : fifty()) zone += "many 300 A " + address.toString() + "\n";
    write("zone", zone);
    write("unbound.conf", "server:\n interface: 127.0.0.1\n chroot: \"\"\n username: \"\"\n directory: \"" + folder_ +
                              "\"\n pidfile: \"\"\n use-syslog: no\n logfile: \"\"\n num-threads: 1\n do-ip6: no\n"
                              " module-config: \"iterator\"\nremote-control:\n control-enable: no\n"
                              "auth-zone:\n name: \"example.com\"\n zonefile: \"" +
                              folder_ + "/zone\"\n for-downstream: yes\n for-upstream: yes\n");
    const std::vector<std::string> command{"unbound", "-d", "-c", folder_ + "/unbound.conf"};
    return std::make_unique<ServerProcess>(command, "start of service");
  }

  std::unique_ptr<ServerProcess> server_;
};

TEST_P(RealServer, SeveralAddressesOfBothFamilies) {
  Resolver asker = resolver();
  const ResolveResult result = ask(asker, "vpn.example.com");
  ASSERT_TRUE(result) << result.error().what;
  EXPECT_EQ(result->name.addresses, (Addresses{at("203.0.113.1"), at("203.0.113.2"), at("2001:db8::1")}));
  EXPECT_EQ(result->name.ttl, seconds{300});
  EXPECT_TRUE(result->notes.empty());
}

TEST_P(RealServer, OneFamilyAlone) {
  Resolver asker = resolver();
  const auto v4 = ask(asker, "vpn.example.com", Families::v4);
  ASSERT_TRUE(v4) << v4.error().what;
  EXPECT_EQ(v4->name.addresses, (Addresses{at("203.0.113.1"), at("203.0.113.2")}));
  const auto v6 = ask(asker, "vpn.example.com", Families::v6);
  ASSERT_TRUE(v6) << v6.error().what;
  EXPECT_EQ(v6->name.addresses, (Addresses{at("2001:db8::1")}));
}

TEST_P(RealServer, TheSmallestTtlOfAChain) {
  Resolver asker = resolver();
  const ResolveResult result = ask(asker, "Alias.Example.com.");
  ASSERT_TRUE(result) << result.error().what;
  EXPECT_EQ(result->name.addresses.size(), 3U);
  EXPECT_EQ(result->name.ttl, seconds{120});
}

TEST_P(RealServer, LongAnswersComeByTcp) {
  Resolver asker = resolver();
  const ResolveResult result = ask(asker, "many.example.com");
  ASSERT_TRUE(result) << result.error().what;
  EXPECT_EQ(result->name.addresses, fifty());
}

TEST_P(RealServer, WhatIsNotThere) {
  Resolver asker = resolver();
  const ResolveResult none = ask(asker, "nobody.example.com");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().kind, ResolveFailure::noSuchName) << none.error().what;
  const ResolveResult noV4 = ask(asker, "v6.example.com", Families::v4);
  ASSERT_FALSE(noV4);
  EXPECT_EQ(noV4.error().kind, ResolveFailure::noData) << noV4.error().what;
  EXPECT_TRUE(ask(asker, "v6.example.com"));
}

TEST_P(RealServer, ANameOfAnotherZoneThatItCannotAskFor) {
  Resolver asker = resolver();
  const ResolveResult result = ask(asker, "vpn.example.org");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ResolveFailure::serverFailure) << result.error().what;
}

TEST_P(RealServer, AThousandNamesAtOnce) {
  Resolver asker = resolver();
  int answered = 0;
  for (int i = 0; i < 1000; ++i)
    asker.resolve("vpn.example.com", Families::both, [&](const ResolveResult& result) {
      answered += result && result->name.addresses.size() == 3 ? 1 : 0;
    });
  runUntil(asker, [&] { return answered == 1000; });
  EXPECT_EQ(answered, 1000);
}

INSTANTIATE_TEST_SUITE_P(, RealServer, ::testing::Values("dnsmasq", "unbound"),
                         [](const auto& each) { return std::string{each.param}; });

class Asking : public ResolverTest {
 protected:
  static Replies always(const Query& query) {
    return {query.type == kA ? reply(query, {record(query.name, 60, "203.0.113.1")}) : reply(query, {})};
  }
  static std::set<std::string> namesOf(const FakeServer& server) {
    std::set<std::string> names;
    for (const Query& query : server.queries) names.insert(query.name);
    return names;
  }
};

TEST_F(Asking, SearchDomainsAreForNamesWithoutADot) {
  write("resolv.conf", "nameserver 127.0.0.1\nsearch lan.example\noptions ndots:5\n");
  FakeServer server{loop_, "127.0.0.1", [](const Query& query) { return Replies{reply(query, {}, {.rcode = 3})}; }};
  Resolver asker = resolver();
  EXPECT_FALSE(ask(asker, "vpn.example.com"));
  EXPECT_EQ(namesOf(server), (std::set<std::string>{"vpn.example.com"}));
  server.queries.clear();
  EXPECT_FALSE(ask(asker, "vpn"));
  EXPECT_TRUE(namesOf(server).contains("vpn.lan.example"));
}

TEST_F(Asking, ANewResolvConfIsForWhatIsBeingAskedAsWell) {
  FakeServer silent{loop_, "127.0.0.1", [](const Query&) { return Replies{}; }};
  FakeServer good{loop_, "127.0.0.2", always};
  Resolver asker = resolver({.timeout = milliseconds{9000}});
  std::optional<ResolveResult> result;
  asker.resolve("vpn.example.com", Families::both, [&](const ResolveResult& answer) { result = answer; });
  runUntil(asker, [&] { return silent.queries.size() == 2; });
  EXPECT_FALSE(result);
  write("resolv.conf", "nameserver 127.0.0.2\n");
  ASSERT_TRUE(asker.reload());
  runUntil(asker, [&] { return result.has_value(); });
  ASSERT_TRUE(result && *result);
  EXPECT_EQ((*result)->name.addresses, (Addresses{at("203.0.113.1")}));
  EXPECT_EQ(silent.queries.size(), 2U);
}

TEST_F(Asking, ACallbackMayAskAgainAndReload) {
  const FakeServer server{loop_, "127.0.0.1", always};
  Resolver asker = resolver();
  int left = 5;
  Resolver::Callback again = [&](const ResolveResult& result) {
    EXPECT_TRUE(result);
    EXPECT_TRUE(asker.reload());
    if (--left > 0) asker.resolve("vpn.example.com", Families::both, again);
  };
  asker.resolve("vpn.example.com", Families::both, again);
  runUntil(asker, [&] { return left == 0; });
  EXPECT_EQ(left, 0);
}

/// Names that are invalid in DNS: all of them have failed before the first failure is reported.
void askAtOnce(Resolver& resolver, int count, const Resolver::Callback& callback) {
  for (int i = 0; i < count; ++i) resolver.resolve("a..b", Families::v4, callback);
}

TEST_F(Asking, ACallbackMayEndTheResolver) {
  std::optional<Resolver> asker{resolver()};
  int calls = 0;
  const std::string text(100, 'x');
  askAtOnce(*asker, 5, [&, text](const ResolveResult&) {
    ++calls;
    loop_.unwatch(asker->descriptor());
    asker.reset();
    EXPECT_EQ(text, std::string(100, 'x')) << "it runs on";
    loop_.stop();
  });
  ASSERT_TRUE(loop_.watch(asker->descriptor(), [&] { asker->process(); }));
  ASSERT_TRUE(loop_.run());
  EXPECT_EQ(calls, 1) << "nobody is called any more";
}

TEST_F(Asking, ACallbackMayReplaceTheResolver) {
  const FakeServer server{loop_, "127.0.0.1", always};
  Resolver asker = resolver();
  int calls = 0;
  askAtOnce(asker, 5, [&](const ResolveResult&) {
    ++calls;
    loop_.unwatch(asker.descriptor());
    asker = resolver();
    loop_.stop();
  });
  ASSERT_TRUE(loop_.watch(asker.descriptor(), [&] { asker.process(); }));
  ASSERT_TRUE(loop_.run());
  EXPECT_EQ(calls, 1);
  EXPECT_TRUE(ask(asker, "vpn.example.com")) << "the new one works";
}

TEST_F(Asking, AResolvConfThatIsNoFileIsSaidAndNotReadUntilItIsOne) {
  const FakeServer server{loop_, "127.0.0.1", always};
  const std::string file = folder_ + "/resolv.conf";
  ASSERT_EQ(unlink(file.c_str()), 0);
  ASSERT_EQ(mkfifo(file.c_str(), 0600), 0);
  Resolver asker = resolver();
  EXPECT_NE(asker.trouble().find("resolv.conf: not a regular file"), std::string::npos) << asker.trouble();
  EXPECT_TRUE(ask(asker, "vpn.example.com")) << "this host is asked";
  ASSERT_EQ(unlink(file.c_str()), 0);
  write("resolv.conf", "nameserver 127.0.0.1\n");
  ASSERT_TRUE(asker.reload());
  EXPECT_EQ(asker.trouble(), "");
}

TEST_F(Asking, AResolverThatGoesCallsNobody) {
  FakeServer silent{loop_, "127.0.0.1", [](const Query&) { return Replies{}; }};
  Resolver asker = resolver();
  asker.resolve("vpn.example.com", Families::both, [](const ResolveResult&) { ADD_FAILURE(); });
  runUntil(asker, [&] { return silent.queries.size() == 2; });
  asker = resolver();
}

TEST_F(Asking, ServersOfItsOwnInsteadOfResolvConfs) {
  FakeServer other{loop_, "127.0.0.1", always};
  const FakeServer own{loop_, "127.0.0.2", always};
  ResolverOptions options;
  options.servers = {Address::v4(127, 0, 0, 2)};
  Resolver asker = resolver(options);
  EXPECT_TRUE(ask(asker, "vpn.example.com"));
  ASSERT_TRUE(asker.reload());
  EXPECT_TRUE(ask(asker, "vpn.example.com"));
  EXPECT_TRUE(other.queries.empty());
}

TEST_F(Asking, NamesThatDnsCannotHave) {
  const FakeServer server{loop_, "127.0.0.1", always};
  Resolver asker = resolver();
  for (const std::string& name :
       {std::string(64, 'a') + ".example", std::string{"a..example"}, std::string(300, 'a')}) {
    const ResolveResult result = ask(asker, name);
    ASSERT_FALSE(result) << name;
    EXPECT_EQ(result.error().kind, ResolveFailure::noSuchName) << name << " " << result.error().what;
  }
  EXPECT_TRUE(server.queries.empty());
}

TEST_F(Asking, TheHostsFileComesFirst) {
  FakeServer server{loop_, "127.0.0.1", always};
  write("hosts", "203.0.113.77 home.example.com\n127.0.0.1 trap.example.com\n");
  // Only in this process's mount namespace: see main().
  ASSERT_EQ(::mount((folder_ + "/hosts").c_str(), "/etc/hosts", nullptr, MS_BIND, nullptr), 0) << std::strerror(errno);
  Resolver asker = resolver();
  const ResolveResult home = ask(asker, "home.example.com");
  const ResolveResult trap = ask(asker, "trap.example.com");
  EXPECT_EQ(::umount2("/etc/hosts", MNT_DETACH), 0);
  ASSERT_TRUE(home) << home.error().what;
  EXPECT_EQ(home->name.addresses, (Addresses{at("203.0.113.77")}));
  EXPECT_EQ(home->name.ttl, seconds{60});
  EXPECT_TRUE(home->notes.empty());
  ASSERT_FALSE(trap);
  EXPECT_EQ(trap.error().kind, ResolveFailure::refused);
  EXPECT_TRUE(server.queries.empty());
}

void ownMounts() {
  if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    std::perror("no mount namespace of our own");
}

}  // namespace
}  // namespace wgsteer::dns

int main(int argc, char** argv) { return wgsteer::test::runInOwnNetwork(argc, argv, wgsteer::dns::ownMounts); }
