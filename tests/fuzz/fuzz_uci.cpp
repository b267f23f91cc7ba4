// SPDX-License-Identifier: GPL-2.0-or-later
// Any bytes as a UCI file: sections that UCI may have, and a Config or errors that are text.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "config/load.hpp"
#include "config/uci.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace wgsteer::config;
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  Problems problems;
  const auto lines = static_cast<unsigned>(std::ranges::count(text, '\n') + 1);
  for (const Section& section : readUci(text, problems)) {
    if (section.type.empty() || section.line == 0 || section.line > lines) std::abort();
    for (const Option& option : section.options) {
      if (option.name.empty() || option.values.empty() || option.line > lines) std::abort();
      if (!option.list && (option.values.size() != 1 || option.values.front().text.empty())) std::abort();
      for (const Value& value : option.values)
        if (value.text.find('\0') != std::string::npos || value.line == 0 || value.line > lines) std::abort();
    }
  }
  const auto config = loadText(text, "/etc/config/fuzz");
  if (!config && config.error().what.empty()) std::abort();
  return 0;
}
