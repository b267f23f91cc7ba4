// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/status_text.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "daemon/status.hpp"

namespace wgsteer::cli {
namespace {

/// The line about a configuration that was refused; empty if there is none.
std::string refusedAt(WallSeconds now, const std::optional<LastReload>& last) {
  DaemonFacts facts;
  facts.lastReload = last;
  const std::string text = statusText(statusDocument({}, {}, facts, {}, now), 0);
  const auto begin = text.find("refused:");
  return begin == std::string::npos ? "" : text.substr(begin, text.find('\n', begin) - begin);
}

TEST(StatusText, TellsARefusedReloadFromAStartWithABrokenFile) {
  const WallSeconds then = fromEpoch(900);
  const WallSeconds now = fromEpoch(905);
  EXPECT_EQ(refusedAt(now, {}), "");
  EXPECT_EQ(refusedAt(now, LastReload{.at = then, .error = {}}), "");
  EXPECT_EQ(refusedAt(now, LastReload{.at = then, .error = "wgsteer:3: use_wan: 'x'"}),
            "refused: reload 5 s ago failed, the previous configuration stays in use: wgsteer:3: use_wan: 'x'");
  EXPECT_EQ(refusedAt(now, LastReload{.at = then, .atStart = true, .error = "wgsteer:3: use_wan: 'x'"}),
            "refused: configuration at the start 5 s ago, the last good one is in use: wgsteer:3: use_wan: 'x'");
}

}  // namespace
}  // namespace wgsteer::cli
