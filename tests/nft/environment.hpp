// SPDX-License-Identifier: GPL-2.0-or-later
// These tests run on the real kernel, in a private network namespace that main() creates.
#pragma once

#include <gtest/gtest.h>
#include <memory>
#include <string>

#include "wgsteer/core/plan.hpp"

#include "nft/nft.hpp"
#include "support/netns.hpp"

namespace wgsteer::nft::test {

using wgsteer::test::shell;

/// A kernel without any nft table, and an open Nft.
class KernelTest : public ::testing::Test {
 protected:
  void SetUp() override;

  /// The current state of the table.
  NftState observed();
  /// Commits what diff() finds between the kernel and `desired`; returns how many changes that were.
  std::size_t converge(const std::optional<NftState>& desired);

  Numbers numbers_;
  std::unique_ptr<Nft> nft_;
};

/// Two WANs, two policies, one element of everything.
NftState exampleState();

}  // namespace wgsteer::nft::test
