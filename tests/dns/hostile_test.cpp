// SPDX-License-Identifier: GPL-2.0-or-later
// A name server that does its worst.
#include <gtest/gtest.h>

#include "dns/fixture.hpp"
#include "support/netns.hpp"

namespace wgsteer::dns {
namespace {

using namespace test;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Addresses = std::vector<Address>;
using Replies = std::vector<std::string>;

const std::string kName = "vpn.example.com";

class Hostile : public ResolverTest {
 protected:
  static Address at(std::string_view text) { return *Address::parse(text); }
  Resolver quick() { return resolver({.timeout = milliseconds{100}}); }
  /// Answers A queries as given, AAAA queries with no records.
  static FakeServer::Answers forA(const std::function<Replies(const Query&)>& answers) {
    return [answers](const Query& query) { return query.type == kA ? answers(query) : Replies{reply(query, {})}; };
  }
  void expectFailure(ResolveFailure kind, const std::string& what, const FakeServer::Answers& answers) {
    const FakeServer server{loop_, "127.0.0.1", answers};
    Resolver asker = quick();
    const ResolveResult result = ask(asker, kName);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind, kind) << result.error().what;
    EXPECT_EQ(result.error().what, what);
  }
};

TEST_F(Hostile, Silence) {
  expectFailure(ResolveFailure::timeout, "A: no answer in time", [](const Query&) { return Replies{}; });
}

TEST_F(Hostile, WrongIdsAndQuestionsAreNotHeard) {
  const FakeServer server{loop_, "127.0.0.1", forA([](const Query& query) {
                            Query wrongId = query;
                            wrongId.id[0] = static_cast<char>(wrongId.id[0] + 1);
                            Query wrongQuestion = query;
                            wrongQuestion.question = wireName("bank.example.com") + number16(kA) + number16(1);
                            return Replies{reply(wrongId, {record(kName, 60, "203.0.113.66")}),
                                           reply(wrongQuestion, {record(kName, 60, "203.0.113.66")}), "x", "",
                                           reply(query, {record(kName, 60, "203.0.113.1")})};
                          })};
  Resolver asker = quick();
  const ResolveResult result = ask(asker, kName);
  ASSERT_TRUE(result) << result.error().what;
  EXPECT_EQ(result->name.addresses, (Addresses{at("203.0.113.1")}));
}

TEST_F(Hostile, NothingButWrongIdsIsATimeout) {
  expectFailure(ResolveFailure::timeout, "A: no answer in time", [](const Query& query) {
    Query wrong = query;
    wrong.id[0] = static_cast<char>(wrong.id[0] + 1);
    return Replies(100, reply(wrong, {record(kName, 60, "203.0.113.66")}));
  });
}

TEST_F(Hostile, TenThousandRecordsThatAreNotThere) {
  expectFailure(ResolveFailure::refused, "A: answer rejected: malformed answer", forA([](const Query& query) {
                  return Replies{reply(query, {record(kName, 60, "203.0.113.1")}, {.count = 10000})};
                }));
}

TEST_F(Hostile, AsManyRecordsAsTcpCarries) {
  expectFailure(ResolveFailure::refused, "A: answer rejected: more than 64 addresses", forA([](const Query& query) {
                  if (!query.tcp) return Replies{reply(query, {}, {.truncated = true})};
                  Replies records;
                  for (int i = 0; i < 4000; ++i)
                    records.push_back(
                        record(std::string{"\xc0\x0c", 2}, kA, 60, number32(0x01000000U + static_cast<unsigned>(i))));
                  return Replies{reply(query, records)};
                }));
}

TEST_F(Hostile, CnamesInACircle) {
  expectFailure(ResolveFailure::refused, "A: answer rejected: its CNAMEs form a loop", forA([](const Query& query) {
                  return Replies{reply(query, {cname(kName, 60, "a.example"), cname("a.example", 60, kName)})};
                }));
}

TEST_F(Hostile, NothingButUnusableAddresses) {
  expectFailure(ResolveFailure::refused, "0.0.0.0: rejected: unspecified address, and so are all others",
                forA([](const Query& query) {
                  return Replies{reply(query, {record(kName, 60, "127.0.0.1"), record(kName, 60, "0.0.0.0"),
                                               record(kName, 60, "224.0.0.1"), record(kName, 60, "255.255.255.255")})};
                }));
}

TEST_F(Hostile, BadAddressesAmongGoodOnes) {
  const FakeServer server{loop_, "127.0.0.1", [](const Query& query) {
                            const Replies v4{record(kName, 60, "203.0.113.1"), record(kName, 60, "127.0.0.1"),
                                             record(kName, 60, "198.51.100.9")};
                            const Replies v6{record(kName, 60, "::ffff:203.0.113.1"), record(kName, 60, "2001:db8::1"),
                                             record(kName, 60, "fe80::1")};
                            return Replies{reply(query, query.type == kA ? v4 : v6)};
                          }};
  ResolverOptions options;
  options.isOwn = [](const Address& address) { return address == at("198.51.100.9"); };
  Resolver asker = resolver(options);
  const ResolveResult result = ask(asker, kName);
  ASSERT_TRUE(result) << result.error().what;
  EXPECT_EQ(result->name.addresses, (Addresses{at("203.0.113.1"), at("2001:db8::1")}));
  EXPECT_EQ(result->name.unanswered, std::nullopt);
  EXPECT_EQ(result->notes, (std::vector<std::string>{"127.0.0.1: rejected: loopback address",
                                                     "198.51.100.9: rejected: an address of this host",
                                                     "::ffff:203.0.113.1: rejected: IPv4-mapped address",
                                                     "fe80::1: rejected: link-local address without a scope"}));
}

TEST_F(Hostile, ATtlOfZeroIsHandedOnAndClampedBySchedule) {
  const FakeServer server{loop_, "127.0.0.1", forA([](const Query& query) {
                            return Replies{reply(query, {record(kName, 0, "203.0.113.1")})};
                          })};
  Resolver asker = quick();
  const ResolveResult result = ask(asker, kName);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->name.ttl, seconds{0});
  FollowedName name;
  noteAnswer(name, result->name, seconds{100}, 0);
  EXPECT_EQ(name.next, seconds{105});
}

TEST_F(Hostile, TruncatedWithoutTcp) {
  const FakeServer server{
      loop_, "127.0.0.1", [](const Query& query) {
        return query.tcp ? Replies{} : Replies{reply(query, {record(kName, 60, "203.0.113.1")}, {.truncated = true})};
      }};
  Resolver asker = quick();
  const ResolveResult result = ask(asker, kName);
  ASSERT_FALSE(result) << "half an answer is none";
  EXPECT_EQ(result.error().kind, ResolveFailure::timeout) << result.error().what;
}

TEST_F(Hostile, ErrorsOfTheServer) {
  for (const auto& [rcode, kind, what] : {std::tuple{3U, ResolveFailure::noSuchName, "A: no such name"},
                                          std::tuple{0U, ResolveFailure::noData, "A: no address"}})
    expectFailure(kind, what,
                  [rcode = rcode](const Query& query) { return Replies{reply(query, {}, {.rcode = rcode})}; });
  for (const unsigned rcode : {2U, 4U, 5U}) {
    const FakeServer server{loop_, "127.0.0.1",
                            [&](const Query& query) { return Replies{reply(query, {}, {.rcode = rcode})}; }};
    Resolver asker = quick();
    const ResolveResult result = ask(asker, kName);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind, ResolveFailure::serverFailure) << rcode << " " << result.error().what;
  }
}

TEST_F(Hostile, OneFamilyWithoutAnAnswerDoesNotHoldUpTheOtherForEver) {
  const FakeServer server{loop_, "127.0.0.1", [](const Query& query) {
                            return query.type == kA ? Replies{reply(query, {record(kName, 60, "203.0.113.1")})}
                                                    : Replies{};
                          }};
  Resolver asker = quick();
  const ResolveResult result = ask(asker, kName);
  ASSERT_TRUE(result) << result.error().what;
  EXPECT_EQ(result->name.addresses, (Addresses{at("203.0.113.1")}));
  EXPECT_EQ(result->name.unanswered, Family::v6);
  EXPECT_EQ(result->notes, (std::vector<std::string>{"AAAA: no answer in time"}));
}

TEST_F(Hostile, NobodyListens) {
  Resolver asker = quick();
  const ResolveResult result = ask(asker, kName);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ResolveFailure::serverFailure) << result.error().what;
}

TEST_F(Hostile, TheNextServerIsAskedWhenOneFails) {
  write("resolv.conf", "nameserver 127.0.0.1\nnameserver 127.0.0.2\nnameserver 127.0.0.3\n");
  const FakeServer silent{loop_, "127.0.0.1", [](const Query&) { return Replies{}; }};
  const FakeServer good{loop_, "127.0.0.3", forA([](const Query& query) {
                          return Replies{reply(query, {record(kName, 60, "203.0.113.1")})};
                        })};
  Resolver asker = quick();
  const ResolveResult result = ask(asker, kName);
  ASSERT_TRUE(result) << result.error().what;
  EXPECT_EQ(result->name.unanswered, std::nullopt);
}

}  // namespace
}  // namespace wgsteer::dns

int main(int argc, char** argv) { return wgsteer::test::runInOwnNetwork(argc, argv); }
