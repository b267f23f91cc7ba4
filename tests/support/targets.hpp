// SPDX-License-Identifier: GPL-2.0-or-later
// Addresses to probe, as written in a configuration: "9.9.9.9", "[2620:fe::fe]:53".
#pragma once

#include <string>
#include <vector>

#include "wgsteer/core/address.hpp"

namespace wgsteer::test {

inline Endpoint target(const std::string& text) {
  if (const auto address = Address::parse(text)) return {*address, 0};
  return Endpoint::parse(text).value();
}

inline std::vector<Endpoint> targets(const std::vector<std::string>& texts) {
  std::vector<Endpoint> all;
  for (const std::string& text : texts) all.push_back(target(text));
  return all;
}

}  // namespace wgsteer::test
