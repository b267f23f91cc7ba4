// SPDX-License-Identifier: GPL-2.0-or-later
// What rules of a simulated firewall are made of.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "wgsteer/core/firewall.hpp"

namespace wgsteer::firewall {

using Steps = std::vector<Step>;

inline Bytes word(std::uint32_t value) {
  Bytes bytes(sizeof value);
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

inline Steps operator+(Steps one, const Steps& other) {
  one.insert(one.end(), other.begin(), other.end());
  return one;
}

}  // namespace wgsteer::firewall
