// SPDX-License-Identifier: GPL-2.0-or-later
#include "foreign/netifd.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <optional>

#include "wgsteer/core/address.hpp"

#include "config/uci.hpp"
#include "config/values.hpp"
#include "os/read_file.hpp"

namespace wgsteer::foreign {

namespace {

constexpr auto kWanted = std::to_array<std::string_view>(
    {"proto", "device", "ifname", "tunlink", "fwmark", "listen_port", "ip4table", "ip6table", "disabled", "nohostroute",
     "public_key", "endpoint_host", "endpoint_port", "allowed_ips", "route_allowed_ips", "gateway"});

std::string textOf(const config::Section& section, std::string_view name, const std::string& otherwise = {}) {
  const config::Value* value = section.single(name);
  return value == nullptr ? otherwise : value->text;
}

bool isSet(const config::Section& section, std::string_view name) {
  const config::Value* value = section.single(name);
  return value != nullptr && config::parseBoolean(*value).value_or(false);
}

/// The entries of a list, or the words of an option: netifd accepts both.
std::vector<std::string> wordsOf(const config::Section& section, std::string_view name) {
  std::vector<std::string> words;
  const config::Option* option = section.find(name);
  if (option == nullptr) return words;
  for (const config::Value& value : option->values) {
    std::string_view left = value.text;
    while (true) {
      left.remove_prefix(std::min(left.find_first_not_of(" \t\n,"), left.size()));
      if (left.empty()) break;
      const std::string_view word = left.substr(0, left.find_first_of(" \t\n,"));
      words.emplace_back(word);
      left.remove_prefix(word.size());
    }
  }
  return words;
}

NetifdInterface interfaceOf(const config::Section& section) {
  return {.name = section.name.value_or(""),
          .proto = textOf(section, "proto"),
          .device = textOf(section, "device", textOf(section, "ifname")),
          .tunlink = textOf(section, "tunlink"),
          .fwmark = textOf(section, "fwmark"),
          .listenPort = textOf(section, "listen_port"),
          .ip4table = textOf(section, "ip4table"),
          .ip6table = textOf(section, "ip6table"),
          .gateway = textOf(section, "gateway"),
          .noHostRoute = isSet(section, "nohostroute"),
          .disabled = isSet(section, "disabled"),
          .line = section.line,
          .peers = {}};
}

NetifdPeer peerOf(const config::Section& section) {
  return {.publicKey = textOf(section, "public_key"),
          .endpointHost = textOf(section, "endpoint_host"),
          .endpointPort = textOf(section, "endpoint_port", "51820"),
          .allowedIps = wordsOf(section, "allowed_ips"),
          .routeAllowedIps = isSet(section, "route_allowed_ips"),
          .disabled = isSet(section, "disabled"),
          .line = section.line};
}

/// "wg0" for wireguard_wg0 and amneziawg_wg0; empty for other types.
std::string_view tunnelOf(std::string_view type) {
  for (const std::string_view prefix : {"wireguard_", "amneziawg_"})
    if (type.starts_with(prefix)) return type.substr(prefix.size());
  return {};
}

std::optional<PeerEndpoint> endpointOf(const NetifdPeer& peer, config::Problems& problems) {
  const auto wrong = [&](const char* option, const char* what) {
    problems.add(peer.line, option, what);
    return std::nullopt;
  };
  const auto key = PublicKey::parse(peer.publicKey);
  if (!key) return wrong("public_key", "is not a WireGuard key: 44 characters of base64");
  const bool numeric = Address::parse(peer.endpointHost).has_value();
  if (!numeric && !config::isHostName(peer.endpointHost))
    return wrong("endpoint_host", "is neither a host name nor an address");
  const auto port = config::parseInteger({config::ValueType::untyped, peer.endpointPort, peer.line}, 1, 65535);
  if (!port) return wrong("endpoint_port", "is not a port, allowed: 1..65535");
  return PeerEndpoint{.tunnel = {},
                      .peer = *key,
                      .host = peer.endpointHost,
                      .port = static_cast<std::uint16_t>(*port),
                      .numeric = numeric,
                      .file = {},
                      .line = peer.line};
}

/// Follows aliases; a cycle of them has no device.
std::string deviceOf(const Network& network, const NetifdInterface& interface) {
  constexpr int kMaxAliases = 8;
  const NetifdInterface* at = &interface;
  for (int i = 0; i < kMaxAliases && at != nullptr; ++i) {
    if (at->proto == "pppoe" || at->proto == "pppoa" || at->proto == "ppp" || at->proto == "pptp" ||
        at->proto == "l2tp")
      return at->proto + '-' + at->name;
    const bool onDevice = at->proto == "static" || at->proto == "dhcp" || at->proto == "dhcpv6";
    if (!onDevice) return {};
    if (!at->device.starts_with('@')) return at->device;
    at = network.find(std::string_view{at->device}.substr(1));
  }
  return {};
}

}  // namespace

const NetifdInterface* Network::find(std::string_view name) const {
  const auto found = std::ranges::find(interfaces, name, &NetifdInterface::name);
  return found == interfaces.end() ? nullptr : &*found;
}

Network readNetwork(std::string_view text) {
  config::Problems ignored;
  return readNetwork(text, ignored);
}

Network readNetwork(std::string_view text, config::Problems& problems) {
  const config::Sections sections = config::readUci(text, problems, kWanted);
  Network network;
  std::map<std::string, std::size_t, std::less<>> byName;
  for (const config::Section& section : sections) {
    if (section.type != "interface" || !section.name) continue;
    byName.emplace(*section.name, network.interfaces.size());
    network.interfaces.push_back(interfaceOf(section));
  }
  for (const config::Section& section : sections)
    if (const auto known = byName.find(tunnelOf(section.type)); known != byName.end())
      network.interfaces[known->second].peers.push_back(peerOf(section));
  return network;
}

Result<Network> loadNetwork(const std::string& path) {
  auto text = os::readFile(path);
  if (!text) return std::unexpected(text.error());
  Network network = readNetwork(*text);
  os::wipe(*text);
  return network;
}

Interfaces devicesOf(const Network& network) {
  Interfaces devices;
  for (const NetifdInterface& interface : network.interfaces) {
    const auto device = config::parseIfName({config::ValueType::text, deviceOf(network, interface), 0});
    if (device && !interface.disabled) devices.emplace(interface.name, *device);
  }
  return devices;
}

std::vector<PeerEndpoint> endpointsOf(const Network& network, config::Problems& problems) {
  std::vector<PeerEndpoint> endpoints;
  for (const NetifdInterface& interface : network.interfaces) {
    const auto device = config::parseIfName({config::ValueType::text, interface.name, interface.line});
    if (!interface.isTunnel() || interface.disabled || !device) continue;
    for (const NetifdPeer& peer : interface.peers) {
      if (peer.disabled || peer.endpointHost.empty()) continue;
      auto endpoint = endpointOf(peer, problems);
      if (!endpoint) continue;
      endpoint->tunnel = *device;
      endpoints.push_back(std::move(*endpoint));
    }
  }
  return endpoints;
}

}  // namespace wgsteer::foreign
