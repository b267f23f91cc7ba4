// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/endpoint_text.hpp"

namespace wgsteer::cli {

std::optional<Endpoint> endpointIn(const std::string& text) {
  if (const auto endpoint = Endpoint::parse(text)) return endpoint;
  if (const auto address = Address::parse(text)) return Endpoint{*address, 0};
  return std::nullopt;
}

std::expected<Endpoint, std::string> sourceIn(const std::string& text, Family family, SourcePorts ports) {
  const auto source = endpointIn(text);
  if (!source) return std::unexpected("not an address");
  if (source->address.family() != family) return std::unexpected("not an address of the destination's family");
  // WireGuard's own packets have the port of their tunnel.
  if (source->port != 0 && ports == SourcePorts::no)
    return std::unexpected("a source port belongs to a packet of any traffic: name its protocol with --proto");
  return *source;
}

}  // namespace wgsteer::cli
