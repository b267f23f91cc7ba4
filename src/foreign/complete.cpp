// SPDX-License-Identifier: GPL-2.0-or-later
#include "foreign/complete.hpp"

#include <optional>
#include <utility>

#include "foreign/import_mwan3.hpp"
#include "os/read_file.hpp"

namespace wgsteer::foreign {

namespace {

/// nullopt: there is no such file.
Result<std::optional<std::string>> readIfThere(const std::string& file) {
  auto text = os::readFile(file);
  if (text) return std::optional{std::move(*text)};
  if (text.error().kind == ErrorKind::notThere) return std::optional<std::string>{};
  return std::unexpected(text.error());
}

Status takeWansOfMwan3(Config& config, const OpenWrtFiles& files) {
  const auto mwan3 = readIfThere(files.mwan3);
  if (!mwan3) return std::unexpected(mwan3.error());
  if (!*mwan3) return {};
  const auto read = loadNetwork(files.network);
  if (!read && read.error().kind != ErrorKind::notThere) return std::unexpected(read.error());
  const auto network = read.value_or(Network{});
  if (config.wans.empty())
    config.wans = wansOf(**mwan3, network);
  else
    findIpv6Interfaces(config.wans, **mwan3, network);
  return {};
}

}  // namespace

Status complete(Config& config, const OpenWrtFiles& files) {
  const auto interfaces = readIfThere(files.interfaces);
  if (!interfaces) return std::unexpected(interfaces.error());
  if (!*interfaces) return {};
  config.netifd = true;
  if (const auto taken = takeWansOfMwan3(config, files); !taken) return taken;
  resolve(config, readInterfaces(**interfaces));
  return {};
}

}  // namespace wgsteer::foreign
