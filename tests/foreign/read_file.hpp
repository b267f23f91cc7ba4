// SPDX-License-Identifier: GPL-2.0-or-later
// What one of the readers makes of a file, and what it says is wrong with it.
#pragma once

#include <string>
#include <utility>

#include "config/sections.hpp"

namespace wgsteer::foreign::test {

template <class Content>
struct ReadFile {
  Content content;
  std::string problems;
};

/// `reader` is given the problems to add to.
template <class Reader>
auto readFile(const Reader& reader, const std::string& fileName) {
  config::Problems problems;
  auto content = reader(problems);
  return ReadFile<decltype(content)>{std::move(content), problems.toString(fileName)};
}

}  // namespace wgsteer::foreign::test
