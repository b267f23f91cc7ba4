// SPDX-License-Identifier: GPL-2.0-or-later
// Any bytes as mwan3's and, after the first 0xff, netifd's configuration: the result of the import is always valid.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "config/load.hpp"
#include "config/write.hpp"
#include "foreign/import_mwan3.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace wgsteer::config;
  using namespace wgsteer::foreign;
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const auto end = text.find('\xff');
  const Network network = end == std::string_view::npos ? Network{} : readNetwork(text.substr(end + 1));
  Problems notes;
  const Mwan3 mwan3 = readMwan3(text.substr(0, end), notes);
  const auto uci = loadText(toUci(importMwan3(mwan3, network, WanBy::interface, notes).sections), "/etc/config/x");
  if (!uci) std::abort();
#ifdef WGSTEER_TOML
  if (!loadText(toToml(importMwan3(mwan3, network, WanBy::device, notes).sections), "x.toml")) std::abort();
#endif
  return 0;
}
