// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/options.hpp"

#include <getopt.h>
#include <gtest/gtest.h>

namespace wgsteer::cli {
namespace {

std::optional<Options> seen;

int see(const Options& options) {
  seen = options;
  return kOk;
}

/// The exit code of a verb that takes every option and up to two arguments.
int run(std::vector<std::string> words) {
  const std::vector<Verb> verbs{{Group::look, "look", "[A] [B]", "", "", "cjowvmfntxrpiad", see}};
  words.insert(words.begin(), {"wgsteer", "look"});
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  seen.reset();
  optind = 0;  // getopt(3) begins anew
  return runCommandLine(static_cast<int>(words.size()), arguments.data(), verbs);
}

TEST(CommandLine, EachOptionSetsItsMember) {
  ASSERT_EQ(run({"--config", "c",    "-j",   "--once", "-w", "--verbose", "-m",       "0x10",    "--from=f",
                 "-n",       "n",    "--to", "t",      "-x", "x",         "--reason", "r",       "--proto",
                 "p",        "--in", "i",    "--mac",  "a",  "-d",        "d",        "argument"}),
            kOk);
  EXPECT_EQ(seen->configFile, "c");
  EXPECT_TRUE(seen->json && seen->once && seen->watch && seen->verbose);
  EXPECT_EQ(seen->mark, 0x10U);
  EXPECT_EQ(seen->from, "f");
  EXPECT_EQ(seen->networkFile, "n");
  EXPECT_EQ(seen->to, "t");
  EXPECT_EQ(seen->textFile, "x");
  EXPECT_EQ(seen->reason, "r");
  EXPECT_EQ(seen->proto, "p");
  EXPECT_EQ(seen->in, "i");
  EXPECT_EQ(seen->mac, "a");
  EXPECT_EQ(seen->dscp, "d");
  EXPECT_EQ(seen->arguments, std::vector<std::string>{"argument"});
  ASSERT_EQ(run({}), kOk);
  EXPECT_FALSE(seen->json || seen->once || seen->watch || seen->verbose || seen->mark);
}

TEST(CommandLine, WhatIsWrongIsAUsageError) {
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{{"--mark", "x"},
                                                                                     {"--mark", "-1"},
                                                                                     {"--mark", "0x100000000"},
                                                                                     {"--mark"},
                                                                                     {"--json=yes"},
                                                                                     {"--other"},
                                                                                     {"-z"},
                                                                                     {"a", "b", "c"}})
    EXPECT_EQ(run(words), kUsage) << words.front();
  EXPECT_FALSE(seen);
}

TEST(CommandLine, HelpRunsNothing) {
  EXPECT_EQ(run({"--help"}), kOk);
  EXPECT_FALSE(seen);
}

}  // namespace
}  // namespace wgsteer::cli
