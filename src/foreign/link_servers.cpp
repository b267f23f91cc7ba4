// SPDX-License-Identifier: GPL-2.0-or-later
#include "foreign/link_servers.hpp"

#include <algorithm>
#include <optional>

#include "foreign/peer_endpoint.hpp"
#include "os/read_file.hpp"

namespace wgsteer::foreign {

namespace {

/// What follows `keyword` at the start of the line; nullopt if the line does not start with it.
std::optional<std::string_view> after(std::string_view line, std::string_view keyword) {
  if (!line.starts_with(keyword)) return std::nullopt;
  return trimmed(line.substr(keyword.size()));
}

std::optional<Address> serverOf(std::string_view word) {
  // networkd: 192.0.2.53#dns.example, fe80::1%eth0; the name is for TLS.
  word = word.substr(0, word.find_first_of("%#"));
  const auto address = Address::parse(word);
  // A server on this host belongs to no link.
  if (!address || address->isLoopback() || address->isUnspecified()) return std::nullopt;
  return address;
}

void add(Servers& servers, const Address& server) {
  if (std::ranges::find(servers, server) == servers.end()) servers.push_back(server);
}

std::string textOf(const std::string& path) { return os::readFile(path).value_or(std::string{}); }

}  // namespace

std::map<std::string, Servers, std::less<>> readResolvConfAuto(std::string_view text) {
  std::map<std::string, Servers, std::less<>> all;
  Servers* current = nullptr;
  while (!text.empty()) {
    const std::string_view line = trimmed(takeLine(text));
    if (const auto interface = after(line, "# Interface ")) current = &all[std::string{*interface}];
    const auto word = after(line, "nameserver ");
    if (!word || current == nullptr) continue;
    if (const auto server = serverOf(*word)) add(*current, *server);
  }
  return all;
}

Servers readLinkState(std::string_view text) {
  Servers servers;
  while (!text.empty()) {
    auto words = after(trimmed(takeLine(text)), "DNS=");
    while (words && !words->empty()) {
      const std::string_view word = words->substr(0, words->find(' '));
      words = trimmed(words->substr(word.size()));
      if (const auto server = serverOf(word)) add(servers, *server);
    }
  }
  return servers;
}

Servers serversOf(const LinkServerFiles& files, const IfName& device, IfIndex index) {
  Servers servers;
  const auto byInterface = readResolvConfAuto(textOf(files.netifd));
  if (!byInterface.empty())
    for (const auto& [interface, its] : readInterfaces(textOf(files.interfaces)))
      if (const auto known = byInterface.find(interface); its == device && known != byInterface.end())
        for (const Address& server : known->second) add(servers, server);
  for (const Address& server : readLinkState(textOf(files.networkd + "/" + std::to_string(index.value))))
    add(servers, server);
  return servers;
}

}  // namespace wgsteer::foreign
