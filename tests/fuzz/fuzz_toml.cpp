// SPDX-License-Identifier: GPL-2.0-or-later
// Any bytes as a configuration: a Config, or errors that are text.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "config/load.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const auto config = wgsteer::config::loadText(text, "fuzz");
  if (!config && config.error().what.empty()) std::abort();
  if (config && !wgsteer::validMarkMask(config->numbers.markMask)) std::abort();
  return 0;
}
