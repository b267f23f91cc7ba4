// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/wireguard_genl.hpp"

#include <algorithm>
#include <cerrno>
#include <linux/genetlink.h>
#include <linux/wireguard.h>
#include <netinet/in.h>
#include <utility>

#include "netlink/declared.hpp"
#include "netlink/rtnl.hpp"

namespace wgsteer::netlink {

namespace {

constexpr std::uint8_t kWireGuardVersion = 1;

template <class SocketAddress, class Raw>
Endpoint endpointIn(Bytes bytes, in_port_t SocketAddress::* port, Raw SocketAddress::* host) {
  SocketAddress address{};
  std::memcpy(&address, bytes.data(), sizeof address);
  std::array<std::uint8_t, sizeof(Raw)> raw{};
  std::memcpy(raw.data(), &(address.*host), raw.size());
  return Endpoint{*Address::fromBytes(raw), ntohs(address.*port)};
}

/// Of the length that belongs to its family; nullopt if it has none.
std::optional<Endpoint> endpointIn(Bytes bytes) {
  const auto family = familyOf(readInteger<sa_family_t>(bytes).value_or(AF_UNSPEC));
  if (!family) return std::nullopt;
  return *family == Family::v4 ? endpointIn(bytes, &sockaddr_in::sin_port, &sockaddr_in::sin_addr)
                               : endpointIn(bytes, &sockaddr_in6::sin6_port, &sockaddr_in6::sin6_addr);
}

void putEndpoint(Message& message, const Endpoint& endpoint) {
  const auto raw = endpoint.address.bytes();
  if (endpoint.address.family() == Family::v4) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(endpoint.port);
    std::memcpy(&address.sin_addr, raw.data(), sizeof address.sin_addr);
    message.object(WGPEER_A_ENDPOINT, address);
  } else {
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(endpoint.port);
    std::memcpy(&address.sin6_addr, raw.data(), sizeof address.sin6_addr);
    message.object(WGPEER_A_ENDPOINT, address);
  }
}

// As in device_policy, peer_policy and allowedip_policy of drivers/net/wireguard/netlink.c.
constexpr auto kDeviceAttributes = std::to_array<Declared>({
    {WGDEVICE_A_IFNAME},
    {WGDEVICE_A_FWMARK, Length::u32},
    {WGDEVICE_A_LISTEN_PORT, Length::u16},
    {WGDEVICE_A_PEERS},
});
constexpr auto kPeerAttributes = std::to_array<Declared>({
    {WGPEER_A_PUBLIC_KEY, Length::key, true},
    {WGPEER_A_ENDPOINT, Length::socketAddress},
    {WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL, Length::u16},
    {WGPEER_A_LAST_HANDSHAKE_TIME, Length::timespec},
    {WGPEER_A_RX_BYTES, Length::u64},
    {WGPEER_A_TX_BYTES, Length::u64},
    {WGPEER_A_ALLOWEDIPS},
});
constexpr auto kAllowedIpAttributes = std::to_array<Declared>({
    {WGALLOWEDIP_A_FAMILY, Length::u16, true},
    {WGALLOWEDIP_A_IPADDR, Length::address, true},
    {WGALLOWEDIP_A_CIDR_MASK, Length::u8, true},
});

/// Of the controller's answer to CTRL_CMD_GETFAMILY.
constexpr auto kFamilyAttributes = std::to_array<Declared>({
    {CTRL_ATTR_FAMILY_ID, Length::u16, true},
});

/// nullopt: malformed.
std::optional<Prefix> allowedIpIn(Bytes bytes) {
  if (!conforms(bytes, kAllowedIpAttributes)) return std::nullopt;
  const Attributes<WGALLOWEDIP_A_MAX> attributes{bytes};
  const auto family = familyOf(attributes.integer<std::uint16_t>(WGALLOWEDIP_A_FAMILY).value_or(0));
  if (!family) return std::nullopt;
  const auto address = attributes.address(WGALLOWEDIP_A_IPADDR, *family);
  const auto length = attributes.integer<std::uint8_t>(WGALLOWEDIP_A_CIDR_MASK);
  if (!address || !length) return std::nullopt;
  return Prefix{*address, *length};
}

/// The peer of this key, new or continued from the message before.
Peer& peerOf(Tunnel& tunnel, const PublicKey& key) {
  if (!tunnel.peers.empty() && tunnel.peers.back().publicKey == key) return tunnel.peers.back();
  tunnel.peers.emplace_back().publicKey = key;
  return tunnel.peers.back();
}

/// False: malformed.
bool decodePeer(Bytes bytes, Tunnel& tunnel) {
  if (!conforms(bytes, kPeerAttributes)) return false;
  const Attributes<WGPEER_A_MAX> attributes{bytes};
  std::array<std::uint8_t, PublicKey::kSize> raw{};
  std::ranges::copy(*attributes.at(WGPEER_A_PUBLIC_KEY), raw.begin());
  Peer& peer = peerOf(tunnel, PublicKey{raw});

  if (const auto endpoint = attributes.at(WGPEER_A_ENDPOINT)) peer.endpoint = endpointIn(*endpoint);
  if (const auto keepalive = attributes.integer<std::uint16_t>(WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL))
    peer.persistentKeepalive = *keepalive;
  if (const auto handshake = attributes.integer<std::int64_t>(WGPEER_A_LAST_HANDSHAKE_TIME))
    peer.lastHandshake = fromEpoch(*handshake);
  if (const auto received = attributes.integer<std::uint64_t>(WGPEER_A_RX_BYTES)) peer.receivedBytes = *received;
  if (const auto sent = attributes.integer<std::uint64_t>(WGPEER_A_TX_BYTES)) peer.sentBytes = *sent;
  bool wellFormed = true;
  if (const auto allowed = attributes.at(WGPEER_A_ALLOWEDIPS))
    forEachAttribute(*allowed, [&](std::uint16_t, Bytes entry) {
      const auto prefix = allowedIpIn(entry);
      if (prefix) peer.allowedIps.push_back(*prefix);
      wellFormed &= prefix.has_value();
    });
  return wellFormed;
}

}  // namespace

bool decodeDevice(Bytes bytes, Tunnel& tunnel) {
  if (!conforms(bytes, kDeviceAttributes)) return false;
  const Attributes<WGDEVICE_A_MAX> attributes{bytes};
  if (attributes.has(WGDEVICE_A_IFNAME)) tunnel.name = attributes.text(WGDEVICE_A_IFNAME);
  if (const auto fwmark = attributes.integer<std::uint32_t>(WGDEVICE_A_FWMARK)) tunnel.fwmark = Mark{*fwmark};
  if (const auto port = attributes.integer<std::uint16_t>(WGDEVICE_A_LISTEN_PORT)) tunnel.listenPort = *port;
  bool wellFormed = true;
  if (const auto peers = attributes.at(WGDEVICE_A_PEERS))
    forEachAttribute(*peers, [&](std::uint16_t, Bytes peer) { wellFormed &= decodePeer(peer, tunnel); });
  return wellFormed;
}

Status WireGuardGenl::open() {
  if (socket_) return {};
  auto opened = RequestSocket::open(NETLINK_GENERIC);
  if (!opened) return std::unexpected(opened.error());
  socket_ = std::move(*opened);
  return {};
}

Result<std::uint16_t> WireGuardGenl::familyId(const std::string& kind) {
  if (auto ready = open(); !ready) return std::unexpected(ready.error());
  if (const auto known = families_.find(kind); known != families_.end()) return known->second;
  Message message{GENL_ID_CTRL, 0};
  message.extra<genlmsghdr>() = {.cmd = CTRL_CMD_GETFAMILY, .version = 1, .reserved = 0};
  message.text(CTRL_ATTR_FAMILY_NAME, kind);
  std::uint16_t id = 0;
  const auto outcome = socket_->ask(
      message,
      [&](const nlmsghdr* answer) {
        const auto parts = partsOf<genlmsghdr>(answer);
        if (!parts || !conforms(parts->attributes, kFamilyAttributes)) return;
        const Attributes<CTRL_ATTR_FAMILY_ID> attributes{parts->attributes};
        id = attributes.integer<std::uint16_t>(CTRL_ATTR_FAMILY_ID).value_or(0);
      },
      [&] { return "generic netlink family " + kind; });
  if (!outcome) return std::unexpected(outcome.error());
  if (id == 0) return fail(ErrorKind::malformed, "generic netlink family " + kind + ": the answer has no family id");
  families_.emplace(kind, id);
  return id;
}

Status WireGuardGenl::readOnce(const IfName& device, std::uint16_t family, Tunnel& tunnel) {
  Message message{family, 0};
  message.extra<genlmsghdr>() = {.cmd = WG_CMD_GET_DEVICE, .version = kWireGuardVersion, .reserved = 0};
  message.text(WGDEVICE_A_IFNAME, device);
  bool wellFormed = true;
  const auto outcome = socket_->dump(
      message,
      [&](const nlmsghdr* answer) {
        const auto parts = partsOf<genlmsghdr>(answer);
        wellFormed &= parts && decodeDevice(parts->attributes, tunnel);
      },
      [&] { return "wg show " + device; });
  // The answer contains the private key and preshared keys.
  socket_->wipe();
  // The rest of an abandoned answer contains keys as well: it must not be received later.
  if (!outcome && outcome.error().kind == ErrorKind::busy) socket_.reset();
  if (outcome && !wellFormed) return fail(ErrorKind::malformed, "wg show " + device + ": an answer that is malformed");
  return outcome;
}

Result<Tunnel> WireGuardGenl::readWhole(const IfName& device, std::uint16_t family) {
  Tunnel tunnel;
  const auto outcome = dumpUntilWhole([&] {
    tunnel = {.name = device, .backend = TunnelBackend::kernel, .fwmark = {}, .listenPort = 0, .peers = {}};
    return readOnce(device, family, tunnel);
  });
  if (!outcome) return std::unexpected(outcome.error());
  std::ranges::sort(tunnel.peers, {}, &Peer::publicKey);
  return tunnel;
}

/// After a module was reloaded it has another family number, and a request with the old one fails with ENOENT, as if
/// there were no such device. So a request that fails with a remembered number is retried once with a fresh one.
Status WireGuardGenl::withFamily(const std::string& kind, const std::function<Status(std::uint16_t)>& request) {
  const bool remembered = families_.contains(kind);
  const auto family = familyId(kind);
  if (!family) return std::unexpected(family.error());
  const Status first = request(*family);
  if (first || (first.error().code != ENOENT && first.error().code != EOPNOTSUPP)) return first;
  families_.erase(kind);
  if (!remembered) return first;
  const auto fresh = familyId(kind);
  if (!fresh) return std::unexpected(fresh.error());
  return *fresh == *family ? first : request(*fresh);
}

Result<Tunnel> WireGuardGenl::read(const IfName& device, const std::string& kind) {
  Tunnel tunnel;
  const Status outcome = withFamily(kind, [&](std::uint16_t family) -> Status {
    auto whole = readWhole(device, family);
    if (!whole) return std::unexpected(whole.error());
    tunnel = std::move(*whole);
    return {};
  });
  if (outcome) return tunnel;
  Error error = outcome.error();
  // By now the name belongs to a device of another kind (lookup_interface() in drivers/net/wireguard/netlink.c).
  if (error.code == EOPNOTSUPP) error.kind = ErrorKind::notThere;
  return std::unexpected(std::move(error));
}

Status WireGuardGenl::setFwmark(const IfName& device, const std::string& kind, Mark fwmark) {
  return withFamily(kind, [&](std::uint16_t family) {
    Message message{family, 0};
    message.extra<genlmsghdr>() = {.cmd = WG_CMD_SET_DEVICE, .version = kWireGuardVersion, .reserved = 0};
    message.text(WGDEVICE_A_IFNAME, device);
    message.u32(WGDEVICE_A_FWMARK, fwmark.value);
    return socket_->request(message, [&] { return "wg set " + device + " fwmark " + hex(fwmark.value); });
  });
}

Status WireGuardGenl::setEndpoint(const IfName& device, const std::string& kind, const PublicKey& peer,
                                  const Endpoint& endpoint) {
  return withFamily(kind, [&](std::uint16_t family) {
    Message message{family, 0};
    message.extra<genlmsghdr>() = {.cmd = WG_CMD_SET_DEVICE, .version = kWireGuardVersion, .reserved = 0};
    message.text(WGDEVICE_A_IFNAME, device);
    nlattr* const peers = mnl_attr_nest_start(message.header(), WGDEVICE_A_PEERS);
    nlattr* const one = mnl_attr_nest_start(message.header(), 0);
    message.bytes(WGPEER_A_PUBLIC_KEY, peer.bytes());
    message.u32(WGPEER_A_FLAGS, WGPEER_F_UPDATE_ONLY);
    putEndpoint(message, endpoint);
    mnl_attr_nest_end(message.header(), one);
    mnl_attr_nest_end(message.header(), peers);
    return socket_->request(
        message, [&] { return "wg set " + device + " peer " + peer.toString() + " endpoint " + endpoint.toString(); });
  });
}

}  // namespace wgsteer::netlink
