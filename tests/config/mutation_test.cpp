// SPDX-License-Identifier: GPL-2.0-or-later
// However a file is mutated, it loads or there are errors with locations; whatever loads satisfies the guarantees of
// core/config.hpp.
#include <array>
#include <fstream>
#include <gtest/gtest.h>
#include <set>
#include <sstream>

#include "config/load.hpp"
#include "config/values.hpp"
#include "mutator.hpp"

namespace wgsteer::config {
namespace {

using namespace std::string_view_literals;

std::string validFile() {
  std::ifstream file{WGSTEER_EXAMPLE};
  std::string text;
  for (std::string line; std::getline(file, line);)
    if (line.empty() || line[0] != '#')
      text += line + "\n";
    else if (line.size() > 1 && line[1] != ' ')
      text += line.substr(1) + "\n";
  return text;
}

constexpr std::string_view kTelling = "[]{}\"'=#.:,\n\\-+0129afx_ \t\r\0\xff\xc3"sv;
constexpr std::array<std::string_view, 8> kWords{"-1",  "0",      "true", "[]", "\"\"", "99999999999999999999",
                                                 "nan", "{a=[1]}"};

void expectLocated(const Error& error) {
  EXPECT_EQ(error.kind, ErrorKind::config);
  std::istringstream lines{error.what};
  for (std::string line; std::getline(lines, line);) {
    ASSERT_TRUE(line.starts_with("f:")) << line;
    const auto end = line.find(":", 2);
    ASSERT_NE(end, std::string::npos) << line;
    // All messages have a line, except the count of further errors and those about mark_mask, which need not be in the
    // file.
    const bool about = line.starts_with("f: and ") || line.starts_with("f: mark_mask: ");
    EXPECT_TRUE(about || (end > 2 && line[2] >= '1' && line[2] <= '9')) << line;
  }
}

void expectSound(const Config& config) {
  EXPECT_TRUE(validMarkMask(config.numbers.markMask));
  EXPECT_LE(config.numbers.rulePriority, kMaxRulePriority);
  EXPECT_LE(config.wans.size() + 1, config.numbers.slotCount());
  std::set<std::string> names;
  std::set<std::string> devices;
  for (const WanConfig& wan : config.wans) {
    EXPECT_TRUE(names.insert(wan.name).second);
    EXPECT_TRUE(devices.insert(wan.device).second);
    EXPECT_TRUE(wan.metric >= 1 && wan.metric <= kMaxMetric && wan.weight >= 1 && wan.weight <= kMaxWeight);
  }
  std::set<std::string> policies{std::string{kDefaultPolicy}};
  for (const PolicyConfig& policy : config.policies) {
    EXPECT_TRUE(policies.insert(policy.name).second);
    for (const PolicyMember& member : policy.members) EXPECT_TRUE(names.contains(member.wan));
  }
  for (const TunnelConfig& tunnel : config.tunnels) {
    EXPECT_TRUE(policies.contains(tunnel.policy));
    EXPECT_FALSE(devices.contains(tunnel.interface));
    EXPECT_FALSE(tunnel.interface.empty());
  }
  std::set<std::string> rules;
  for (const RuleConfig& rule : config.rules) {
    EXPECT_TRUE(rules.insert(rule.name).second && !rule.name.empty() && rule.enabled);
    EXPECT_EQ(rule.use == RuleUse::policy, policies.contains(rule.policy));
    EXPECT_TRUE(rule.use == RuleUse::policy || !rule.sticky);
    EXPECT_TRUE(rule.timeout >= std::chrono::seconds{1});
    const bool ports = !rule.sourcePort.empty() || !rule.destinationPort.empty();
    EXPECT_TRUE(!ports || !rule.protocol.any.empty());
  }
  for (const PeerConfig& peer : config.peers) EXPECT_TRUE(!peer.policy || policies.contains(*peer.policy));
}

TEST(Mutation, LoadsOrSaysWhere) {
  const std::string valid = validFile();
  ASSERT_TRUE(loadText(valid, "f"));
  Mutator mutator{20240607, kTelling, kWords};
  int loaded = 0;
  int refused = 0;
  for (int i = 0; i < 4000; ++i) {
    const std::string text = mutator.mutate(valid);
    const auto config = loadText(text, "f");
    if (config) {
      ++loaded;
      expectSound(*config);
    } else {
      ++refused;
      expectLocated(config.error());
    }
    if (::testing::Test::HasFailure()) FAIL() << text;
  }
  EXPECT_GT(loaded, 100);
  EXPECT_GT(refused, 100);
}

TEST(Mutation, EveryPrefixLoadsOrSaysWhere) {
  const std::string valid = validFile();
  for (std::size_t length = 0; length <= valid.size(); ++length) {
    const auto config = loadText(std::string_view{valid}.substr(0, length), "f");
    if (config)
      expectSound(*config);
    else
      expectLocated(config.error());
  }
}

}  // namespace
}  // namespace wgsteer::config
