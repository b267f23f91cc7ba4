// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/wan_overrides.hpp"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "daemon/wan_request.hpp"
#include "support/temp_folder.hpp"

namespace wgsteer {
namespace {

namespace fs = std::filesystem;

class Overrides : public ::testing::Test {
 protected:
  /// The overrides of a daemon that starts now.
  WanOverrides::ByName afterRestart() const {
    WanOverrides next{file_};
    EXPECT_TRUE(next.load());
    return next.all();
  }
  void write(const std::string& text) const {
    fs::create_directories(fs::path{file_}.parent_path());
    std::ofstream{file_} << text;
  }

  test::TempFolder temp_;
  fs::path folder_ = temp_.path();
  std::string file_ = folder_ / "state/wans";
};

const auto kNoAct = [] {};
const WanOverride kMaintenance{.up = false, .reason = "maintenance"};

TEST_F(Overrides, AreRememberedUntilTakenBack) {
  WanOverrides now{file_};
  ASSERT_TRUE(now.load()) << "no file is no decision";
  EXPECT_TRUE(now.all().empty());
  ASSERT_TRUE(now.set("fiber", kMaintenance, kNoAct));
  ASSERT_TRUE(now.set("l\"t\ne", WanOverride{.up = true, .reason = "\xff"}, kNoAct)) << "any bytes";
  EXPECT_EQ(afterRestart().at("fiber"), kMaintenance);
  EXPECT_TRUE(afterRestart().at("l\"t\ne").up);
  EXPECT_EQ(now.down(), (WansDown{{"fiber", "by hand: maintenance"}}));
  ASSERT_TRUE(now.set("fiber", std::nullopt, kNoAct));
  EXPECT_EQ(afterRestart().size(), 1U);
  ASSERT_TRUE(now.set("l\"t\ne", std::nullopt, kNoAct));
  EXPECT_TRUE(fs::is_empty(folder_ / "state")) << "nothing is left";
  ASSERT_TRUE(now.set("fiber", std::nullopt, kNoAct)) << "once more is no error";
}

TEST_F(Overrides, ActBeforeTheDiskIsWaitedFor) {
  WanOverrides now{file_};
  bool there = true;
  bool known = false;
  ASSERT_TRUE(now.set("fiber", kMaintenance, [&] {
    there = fs::exists(file_);
    known = now.all().contains("fiber");
  }));
  EXPECT_TRUE(known);
  EXPECT_FALSE(there);
}

TEST_F(Overrides, AWriteThatWasCutShortChangesNothing) {
  WanOverrides now{file_};
  ASSERT_TRUE(now.set("fiber", kMaintenance, kNoAct));
  std::ofstream{file_ + ".new"} << "{\"version\":1,\"wa";
  EXPECT_EQ(afterRestart().at("fiber"), kMaintenance);
  ASSERT_TRUE(now.set("lte", kMaintenance, kNoAct));
  EXPECT_EQ(afterRestart().size(), 2U);
}

TEST_F(Overrides, WhatCannotBeReadIsSaidAndLeftAlone) {
  for (const char* text : {"{", "[]", "{\"version\":2,\"wans\":{}}", "{\"version\":1}", "{\"version\":1,\"wans\":[]}",
                           R"({"version":1,"wans":{"fiber":1}})", R"({"version":1,"wans":{"fiber":{"use":"no"}}})",
                           R"({"version":1,"wans":{"fiber":{"use":"down","reason":1}}})"}) {
    write(text);
    WanOverrides now{file_};
    const Status loaded = now.load();
    ASSERT_FALSE(loaded) << text;
    EXPECT_EQ(loaded.error().kind, ErrorKind::malformed);
    EXPECT_NE(loaded.error().what.find(file_), std::string::npos);
    EXPECT_TRUE(now.all().empty());
    EXPECT_TRUE(fs::exists(file_));
  }
  fs::remove(file_);
  fs::create_directory(file_);
  WanOverrides now{file_};
  EXPECT_FALSE(now.load()) << "a folder";
  const Status set = now.set("fiber", kMaintenance, kNoAct);
  ASSERT_FALSE(set);
  EXPECT_EQ(now.all().at("fiber"), kMaintenance) << "known all the same";
}

TEST_F(Overrides, ADiskThatIsFullIsSaidAndTheDecisionKept) {
  fs::create_directory(folder_ / "state");
  // Writes to it fail with ENOSPC, as on a disk that is full.
  fs::create_symlink("/dev/full", file_);
  WanOverrides now{file_};
  const Status set = now.set("fiber", kMaintenance, kNoAct);
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().code, ENOSPC);
  EXPECT_EQ(now.all().at("fiber"), kMaintenance);
  fs::remove(file_);
  EXPECT_TRUE(now.set("fiber", kMaintenance, kNoAct)) << "with room again";
}

TEST(OverridesFile, IsWhereSystemdSays) {
  ::unsetenv("STATE_DIRECTORY");
  EXPECT_EQ(WanOverrides::defaultFile("/nowhere"), "/var/run/wgsteer/wans");
  ::setenv("STATE_DIRECTORY", "", 1);
  EXPECT_EQ(WanOverrides::defaultFile("/nowhere"), "/var/run/wgsteer/wans");
  EXPECT_EQ(WanOverrides::defaultFile("/tmp"), "/tmp/wans") << "the service's, for who is not told";
  ::setenv("STATE_DIRECTORY", "/var/lib/wgsteer:/elsewhere", 1);
  EXPECT_EQ(WanOverrides::defaultFile("/tmp"), "/var/lib/wgsteer/wans");
  ::unsetenv("STATE_DIRECTORY");
}

std::string refusal(const nlohmann::json& request, const std::set<std::string>& known) {
  const auto read = readWanRequest(request, known);
  return read ? "none" : read.error().toString();
}

TEST(WanRequests, AreReadOrRefusedWithTheReason) {
  const std::set<std::string> known{"fiber", "lte"};
  const auto down = readWanRequest({{"name", "fiber"}, {"use", "down"}, {"reason", "maintenance"}}, known);
  ASSERT_TRUE(down);
  EXPECT_EQ(down->name, "fiber");
  EXPECT_EQ(down->decision, kMaintenance);
  EXPECT_EQ(readWanRequest({{"name", "lte"}, {"use", "up"}}, known)->decision->toString(), "by hand");
  EXPECT_EQ(readWanRequest({{"name", "lte"}, {"use", "auto"}, {"reason", "x"}}, known)->decision, std::nullopt);

  EXPECT_EQ(refusal({{"name", "dsl"}, {"use", "up"}}, known), "no such WAN: dsl (known: fiber, lte)");
  EXPECT_EQ(refusal({{"name", "dsl"}, {"use", "up"}}, {"fiber"}), "no such WAN: dsl (known: fiber)");
  EXPECT_EQ(refusal({{"name", "dsl"}, {"use", "up"}}, {}), "no such WAN: dsl (known: none yet)");
  EXPECT_NE(refusal({{"name", 1}, {"use", "up"}}, known), "none");
  EXPECT_NE(refusal({{"name", "fiber"}, {"use", "off"}}, known), "none");
  EXPECT_NE(refusal({{"name", "fiber"}}, known), "none");
  EXPECT_NE(refusal({{"name", "fiber"}, {"use", "down"}, {"reason", "two\nlines"}}, known), "none");
  EXPECT_NE(refusal({{"name", "fiber"}, {"use", "down"}, {"reason", std::string(201, 'x')}}, known), "none");
}

}  // namespace
}  // namespace wgsteer
