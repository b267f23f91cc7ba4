// SPDX-License-Identifier: GPL-2.0-or-later
// Answers as servers send them, and as none should.
#include "dns/answer.hpp"

#include <algorithm>
#include <gtest/gtest.h>

#include "dns/combine.hpp"
#include "dns/messages.hpp"

namespace wgsteer::dns {
namespace {

using namespace test;
using Addresses = std::vector<Address>;

Address at(std::string_view text) { return *Address::parse(text); }

Query question(std::string_view name, std::uint16_t type = kA) {
  return {.id = "ab",
          .name = std::string{name},
          .type = type,
          .question = wireName(name) + number16(type) + number16(1),
          .tcp = false};
}

std::expected<Records, std::string> read(const std::string& message, Family family = Family::v4) {
  // Of the exact size, for AddressSanitizer.
  const std::vector<std::uint8_t> bytes(message.begin(), message.end());
  return readAnswer(bytes, family);
}

std::string refusal(const std::string& message) {
  const auto records = read(message);
  EXPECT_FALSE(records);
  return records ? "" : records.error();
}

TEST(Answer, AddressesOfOneFamilySortedEachOnceWithTheSmallestTtl) {
  const std::vector<std::string> answers{
      record("a.example", 300, "203.0.113.2"), record("a.example", 200, "203.0.113.1"),
      record("a.example", 400, "203.0.113.2"), record("a.example", 5, "2001:db8::1")};
  EXPECT_EQ(read(reply(question("a.example"), answers)), (Records{{at("203.0.113.1"), at("203.0.113.2")}, 200}));
  EXPECT_EQ(read(reply(question("a.example"), answers), Family::v6), (Records{{at("2001:db8::1")}, 5}));
}

TEST(Answer, FollowsAliasesInAnyOrderWhateverTheirCase) {
  const auto records =
      read(reply(question("VPN.example"), {record("c.example", 300, "203.0.113.1"), cname("B.example", 60, "C.example"),
                                           cname("vpn.EXAMPLE", 100, "b.example")}));
  EXPECT_EQ(records, (Records{{at("203.0.113.1")}, 60}));
}

TEST(Answer, AddressesOfOtherNamesAreNotTheirs) {
  EXPECT_EQ(read(reply(question("a.example"), {record("b.example", 300, "203.0.113.1")})), Records{});
  EXPECT_EQ(read(reply(question("a.example"), {record(std::string{"\x09"
                                                                  "a.example\0",
                                                                  11},
                                                      kA, 1, "abcd")})),
            Records{})
      << "one label with a dot in it";
  EXPECT_EQ(read(reply(question("a.example"), {})), Records{});
  EXPECT_EQ(read(reply(question("a.example"), {cname("a.example", 1, "b.example")})), Records{});
}

TEST(Answer, UnderstandsCompressedNames) {
  const std::string pointer = std::string{"\xc0\x0c", 2};
  const std::string tail = std::string{"\xc0\x0e", 2};  // "example" of the question
  EXPECT_EQ(read(reply(question("a.example"), {record(pointer, kCname, 9,
                                                      "\x01"
                                                      "b" +
                                                          tail),
                                               record("b.example", 9, "203.0.113.1")})),
            (Records{{at("203.0.113.1")}, 9}));
}

TEST(Answer, ATtlWithTheHighestBitIsZero) {
  EXPECT_EQ(read(reply(question("a.example"), {record("a.example", 0x80000000, "203.0.113.1")}))->ttl, 0U);
  EXPECT_EQ(read(reply(question("a.example"), {record("a.example", 0x7fffffff, "203.0.113.1")}))->ttl, 0x7fffffffU);
}

TEST(Answer, ManyAddressesAreRefused) {
  std::vector<std::string> answers;
  for (int i = 0; i < 64; ++i) answers.push_back(record("a.example", 1, "203.0.113." + std::to_string(i)));
  EXPECT_EQ(read(reply(question("a.example"), answers))->addresses.size(), 64U);
  answers.push_back(record("a.example", 1, "203.0.113.64"));
  EXPECT_EQ(refusal(reply(question("a.example"), answers)), "more than 64 addresses");
}

TEST(Answer, CirclesAndLongChainsAreRefused) {
  EXPECT_EQ(refusal(reply(question("a.example"), {cname("a.example", 1, "a.example")})), "its CNAMEs form a loop");
  EXPECT_EQ(
      refusal(reply(question("a.example"), {cname("a.example", 1, "b.example"), cname("b.example", 1, "a.example"),
                                            record("a.example", 1, "203.0.113.1")})),
      "its CNAMEs form a loop");
  const auto chain = [](int length) {
    std::vector<std::string> answers;
    for (int i = 0; i < length; ++i) answers.push_back(cname("n" + std::to_string(i), 1, "n" + std::to_string(i + 1)));
    answers.push_back(record("n" + std::to_string(length), 1, "203.0.113.1"));
    return reply(question("n0"), answers);
  };
  EXPECT_EQ(read(chain(16))->addresses.size(), 1U);
  EXPECT_EQ(refusal(chain(17)), "more than 16 CNAMEs in a row");
}

TEST(Answer, MalformedOnesAreRefused) {
  const Query query = question("a.example");
  const std::string good = record("a.example", 1, "203.0.113.1");
  const std::string pointer = std::string{"\xc0\x0c", 2};
  for (const std::string& message :
       {std::string{}, std::string{"ab"}, reply(query, {good}, {.count = 10000}),
        reply(query, {good}, {.count = 65535}), reply(query, {record(wireName("a.example"), kA, 1, "abc")}),
        reply(query, {record(wireName("a.example"), kA, 1, "abcde")}),
        reply(query, {record(wireName("a.example"), kCname, 1, wireName("b.example") + "x")}),
        reply(query, {record(wireName("a.example"), kCname, 1,
                             "\x05"
                             "b")}),
        // Pointers to themselves, forward, and in a circle.
        reply(query, {record(std::string{"\xc0\x1b", 2}, kA, 1, "abcd")}),
        reply(query, {record(std::string{"\xff\xff", 2}, kA, 1, "abcd")}),
        reply(query, {record("\x01"
                             "a" +
                                 std::string{"\xc0\x1b", 2},
                             kA, 1, "abcd")}),
        reply(query, {record(std::string{"\x80\x0c", 2}, kA, 1, "abcd")}),
        reply(query, {record(wireName(std::string(63, 'a') + "." + std::string(63, 'b') + "." + std::string(63, 'c') +
                                      "." + std::string(63, 'd')),
                             kA, 1, "abcd")})})
    EXPECT_EQ(refusal(message), "malformed answer");
}

TEST(Answer, CutAnywhereItIsRefused) {
  const std::string whole =
      reply(question("a.example"), {cname("a.example", 1, "b.example"), record("b.example", 1, "203.0.113.1")});
  ASSERT_TRUE(read(whole));
  for (std::size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(read(whole.substr(0, size))) << size;
}

TEST(Answer, UnusableAddresses) {
  for (const char* bad : {"0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.254", "224.0.0.1", "239.255.255.255",
                          "255.255.255.255", "::", "::1", "ff02::1", "fe80::1", "febf::1", "::ffff:203.0.113.1"})
    EXPECT_TRUE(whyUnusable(at(bad))) << bad;
  // Private ones are a matter of taste: there are WireGuard servers behind a modem.
  for (const char* good : {"1.0.0.1", "126.255.255.255", "128.0.0.1", "223.255.255.255", "192.168.1.1", "100.64.0.1",
                           "203.0.113.1", "2001:db8::1", "fd00::1", "64:ff9b::cb00:7101", "::2", "fec0::1"})
    EXPECT_FALSE(whyUnusable(at(good))) << good;
}

FamilyResult found(const std::vector<const char*>& addresses, std::uint32_t ttl) {
  Records records{.addresses = {}, .ttl = ttl};
  for (const char* address : addresses) records.addresses.push_back(at(address));
  return records;
}

FamilyResult failed(ResolveFailure kind, const std::string& what) { return std::unexpected(ResolveError{kind, what}); }

bool isOwn(const Address& address) { return address == at("198.51.100.1"); }

TEST(Combine, BothFamiliesWithTheSmallerTtl) {
  const auto result = combine({{Family::v4, found({"203.0.113.1"}, 60)}, {Family::v6, found({"2001:db8::1"}, 30)}}, {});
  ASSERT_TRUE(result);
  EXPECT_EQ(result->name.addresses, (Addresses{at("203.0.113.1"), at("2001:db8::1")}));
  EXPECT_EQ(result->name.ttl, std::chrono::seconds{30});
  EXPECT_EQ(result->name.unanswered, std::nullopt);
  EXPECT_TRUE(result->notes.empty());
}

TEST(Combine, NoAddressOfAFamilyIsAnAnswerATimeoutIsNone) {
  const FamilyResult v4 = found({"203.0.113.1"}, 60);
  const auto without = combine({{Family::v4, v4}, {Family::v6, failed(ResolveFailure::noData, "no address")}}, {});
  ASSERT_TRUE(without);
  EXPECT_EQ(without->name.unanswered, std::nullopt);
  EXPECT_TRUE(without->notes.empty());
  const auto late = combine({{Family::v4, v4}, {Family::v6, failed(ResolveFailure::timeout, "no answer in time")}}, {});
  ASSERT_TRUE(late);
  EXPECT_EQ(late->name.unanswered, Family::v6);
  EXPECT_EQ(late->notes, (std::vector<std::string>{"AAAA: no answer in time"}));
}

TEST(Combine, UnusableAddressesAreLeftOutAndNoted) {
  const auto result = combine({{Family::v4, found({"127.0.0.1", "198.51.100.1", "203.0.113.1"}, 60)}}, isOwn);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->name.addresses, (Addresses{at("203.0.113.1")}));
  EXPECT_EQ(result->notes, (std::vector<std::string>{"127.0.0.1: rejected: loopback address",
                                                     "198.51.100.1: rejected: an address of this host"}));
}

TEST(Combine, NothingButUnusableAddressesIsRefused) {
  const FamilyResult bad = found({"127.0.0.1", "127.0.0.2"}, 60);
  const auto result = combine({{Family::v4, bad}, {Family::v6, failed(ResolveFailure::noData, "no address")}}, {});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ResolveFailure::refused);
  EXPECT_EQ(result.error().what, "127.0.0.1: rejected: loopback address, and so are all others");
  const auto half = combine({{Family::v4, bad}, {Family::v6, found({"2001:db8::1"}, 9)}}, {});
  ASSERT_TRUE(half);
  EXPECT_EQ(half->name.unanswered, Family::v4) << "its earlier addresses are better than these";
  EXPECT_EQ(half->name.ttl, std::chrono::seconds{9});
}

TEST(Combine, TellsTheFailureThatMayPass) {
  const FamilyResult none = failed(ResolveFailure::noData, "no address");
  const FamilyResult late = failed(ResolveFailure::timeout, "no answer in time");
  for (const auto& [v4, v6] : {std::pair{none, late}, std::pair{late, none}}) {
    const auto result = combine({{Family::v4, v4}, {Family::v6, v6}}, {});
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind, ResolveFailure::timeout);
  }
  EXPECT_EQ(combine({{Family::v4, none}, {Family::v6, none}}, {}).error().what, "A: no address");
}

}  // namespace
}  // namespace wgsteer::dns
