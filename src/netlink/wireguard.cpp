// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/wireguard.hpp"

#include <utility>
#include <vector>

#include "os/timer.hpp"

namespace wgsteer::netlink {

namespace {

constexpr std::chrono::milliseconds kMoment{1500};

bool isInKernel(const Link& link) { return link.kind == "wireguard" || link.kind == "amneziawg"; }
/// Implementations in user space are tun devices.
bool mayBeTunnel(const Link& link) { return isInKernel(link) || link.kind == "tun"; }

TunnelBackend backendOf(const Link& link) {
  return isInKernel(link) ? TunnelBackend::kernel : TunnelBackend::userspace;
}

/// Whether the error is not about one device: the kernel tells this process nothing about any.
bool concernsAllTunnels(const Error& error, TunnelBackend backend) {
  return backend == TunnelBackend::kernel && (error.kind == ErrorKind::refused || error.kind == ErrorKind::io);
}

}  // namespace

std::map<IfName, Result<Tunnel>> WireGuard::ask(const std::map<IfIndex, Link>& links) {
  std::map<IfName, IfIndex> inUserSpace;
  kinds_.clear();
  for (const auto& [index, link] : links) {
    if (isInKernel(link)) kinds_.emplace(link.name, link.kind);
    if (link.kind == "tun") inUserSpace.emplace(link.name, index);
  }
  auto answers = uapi_.read(inUserSpace);
  for (const auto& [name, kind] : kinds_) answers.insert_or_assign(name, genl_.read(name, kind));
  return answers;
}

/// What was last known about this device: another device with its name is another tunnel.
const WireGuard::Known* WireGuard::lastKnown(const Link& link) const {
  const auto known = last_.find(link.name);
  if (known == last_.end() || known->second.link != link.index || known->second.tunnel.backend != backendOf(link))
    return nullptr;
  return &known->second;
}

/// What this answer tells about the device; nullopt: not a tunnel, or one about which nothing is known.
std::optional<WireGuard::Known> WireGuard::learned(const Link& link, const Result<Tunnel>& answer, Seen& seen) const {
  if (answer) return Known{link.index, *answer, std::nullopt};
  const Known* known = lastKnown(link);
  const ErrorKind kind = answer.error().kind;
  if (kind == ErrorKind::notThere && (known == nullptr || isInKernel(link))) return std::nullopt;
  const auto now = os::monotonicNow();
  const auto since = known != nullptr && known->silentSince ? *known->silentSince : now;
  // A process that ends loses its socket a moment before its device, and any process may be busy for a moment.
  const bool passing = known != nullptr && (kind == ErrorKind::notThere || kind == ErrorKind::busy);
  if (!passing || now - since >= kMoment) seen.troubles.insert_or_assign(link.name, answer.error().toString());
  if (known == nullptr) return std::nullopt;
  return Known{link.index, known->tunnel, since};
}

Result<WireGuard::Seen> WireGuard::observe(const std::map<IfIndex, Link>& links) {
  const auto answers = ask(links);
  Seen seen{.tunnels = {}, .troubles = uapi_.refusals()};
  std::map<IfName, Known> known;
  for (const auto& [index, link] : links) {
    const auto answer = answers.find(link.name);
    if (!mayBeTunnel(link) || answer == answers.end()) continue;
    if (!answer->second && concernsAllTunnels(answer->second.error(), backendOf(link)))
      return std::unexpected(answer->second.error());
    auto now = learned(link, answer->second, seen);
    if (!now) continue;
    if (isInKernel(link)) now->tunnel.socket = places_.of(link, now->tunnel.listenPort);
    seen.tunnels.emplace(link.name, now->tunnel);
    known.emplace(link.name, std::move(*now));
  }
  last_ = std::move(known);
  places_.keep(links);
  expect(links, seen);
  return seen;
}

void WireGuard::expect(const std::map<IfIndex, Link>& links, const Seen& seen) {
  if (!again_) return;
  std::map<IfName, Unready> unready;
  for (const auto& [index, link] : links) {
    if (!mayBeTunnel(link)) continue;
    const auto tunnel = seen.tunnels.find(link.name);
    const bool read = tunnel != seen.tunnels.end();
    if (read && !tunnel->second.peers.empty()) continue;
    unready.emplace(link.name, Unready{index, link.up, read, uapi_.socketOf(link.name)});
  }
  // A look asks every process: to look again for the late answer of a tunnel that is known would never end while two of
  // them are late.
  std::vector<int> answers;
  for (const auto& [device, descriptor] : uapi_.pending())
    if (!seen.tunnels.contains(device)) answers.push_back(descriptor);
  again_->expect(unready, answers);
}

Status WireGuard::subscribe() {
  auto again = LookAgain::create();
  if (!again) return std::unexpected(again.error());
  again_ = std::move(*again);
  return {};
}

const char* WireGuard::kindOf(const IfName& device) const {
  const auto kind = kinds_.find(device);
  return kind == kinds_.end() ? "wireguard" : kind->second.c_str();
}

Result<Mark> WireGuard::fwmark(const Tunnel& tunnel) {
  // All peers are sent along, and nobody configures thousands within the time that this is about.
  constexpr std::size_t kManyPeers = 256;
  if (tunnel.peers.size() > kManyPeers) return tunnel.fwmark;
  if (tunnel.backend == TunnelBackend::userspace) return uapi_.fwmark(tunnel.name);
  auto now = genl_.read(tunnel.name, kindOf(tunnel.name));
  if (!now) return std::unexpected(std::move(now.error()));
  return now->fwmark;
}

Status WireGuard::setFwmark(const Tunnel& tunnel, Mark fwmark) {
  Status done = tunnel.backend == TunnelBackend::userspace ? uapi_.setFwmark(tunnel.name, fwmark)
                                                           : genl_.setFwmark(tunnel.name, kindOf(tunnel.name), fwmark);
  // The last known state must not have the old mark.
  if (const auto known = last_.find(tunnel.name); done && known != last_.end()) known->second.tunnel.fwmark = fwmark;
  return done;
}

Status WireGuard::setEndpoint(const Tunnel& tunnel, const PublicKey& peer, const Endpoint& endpoint) {
  if (tunnel.backend == TunnelBackend::userspace) return uapi_.setEndpoint(tunnel.name, peer, endpoint);
  return genl_.setEndpoint(tunnel.name, kindOf(tunnel.name), peer, endpoint);
}

Status WireGuard::clearSources(const Tunnel& tunnel, Mark fwmark, const Numbers& numbers) {
  if (tunnel.backend == TunnelBackend::kernel) return setFwmark(tunnel, fwmark);
  constexpr std::uint32_t kSpareBit = 1;
  const bool spare = numbers.isOurs(fwmark) && (numbers.markMask & kSpareBit) == 0;
  return uapi_.clearSources(tunnel.name, fwmark, spare ? std::optional{Mark{fwmark.value | kSpareBit}} : std::nullopt,
                            tunnel.listenPort);
}

}  // namespace wgsteer::netlink
