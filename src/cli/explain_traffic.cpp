// SPDX-License-Identifier: GPL-2.0-or-later
// `explain` of a packet of any traffic: which rule, policy and exit, and why.
#include "wgsteer/core/explain_traffic.hpp"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "wgsteer/core/desire.hpp"

#include "cli/common.hpp"
#include "cli/endpoint_text.hpp"
#include "cli/verbs.hpp"
#include "cli/walk_text.hpp"
#include "config/values.hpp"

namespace wgsteer::cli {

namespace {

constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kIcmp = 1;
constexpr std::uint8_t kIcmp6 = 58;
/// TCP, UDP, DCCP, SCTP, UDP-Lite.
constexpr std::array<std::uint8_t, 5> kWithPorts{kTcp, 17, 33, 132, 136};

config::Value valueOf(const std::string& text) {
  config::Value value;
  value.text = text;
  return value;
}

/// Takes the packet from the options; `wrong` says what is wrong with them.
class PacketReader {
 public:
  explicit PacketReader(const Options& options) : options_(options) {}

  std::optional<FirstPacket> read(const Endpoint& destination) {
    Packet& packet = first_.packet;
    packet.destination = destination;
    packet.mark = Mark{options_.mark.value_or(0)};
    packet.outer = false;
    packet.inputDevice = options_.in;
    readProtocol();
    readSource();
    readMac();
    readDscp();
    return wrong.empty() ? std::optional{first_} : std::nullopt;
  }

  std::string wrong;

 private:
  void refuse(const std::string& option, const std::string& why) {
    if (wrong.empty()) wrong = option + ": " + why;
  }

  void readProtocol() {
    Packet& packet = first_.packet;
    const bool v4 = packet.destination.address.family() == Family::v4;
    packet.protocol = packet.destination.port != 0 ? kTcp : v4 ? kIcmp : kIcmp6;
    if (options_.proto.empty()) return;
    const auto protocol = config::parseProtocol(valueOf(options_.proto));
    if (!protocol) return refuse("--proto", protocol.error());
    if (!*protocol) return refuse("--proto", "a packet has one protocol: name it");
    packet.protocol = **protocol;
    const bool ported = std::ranges::find(kWithPorts, packet.protocol) != kWithPorts.end();
    if (!ported && packet.destination.port != 0) refuse("--proto", options_.proto + " has no ports");
  }

  void readSource() {
    if (options_.from.empty()) return;
    Packet& packet = first_.packet;
    const auto source = sourceIn(options_.from, packet.destination.address.family(), SourcePorts::yes);
    if (!source) return refuse("--from", options_.from + ": " + source.error());
    packet.source = source->address;
    packet.sourcePort = source->port;
  }

  void readMac() {
    if (options_.mac.empty()) return;
    const auto mac = config::parseMac(valueOf(options_.mac));
    if (!mac) return refuse("--mac", mac.error());
    if (options_.in.empty()) return refuse("--mac", "only what comes in has one: say by which device, with --in");
    first_.sourceMac = *mac;
  }

  void readDscp() {
    if (options_.dscp.empty()) return;
    const auto dscp = config::parseDscp(valueOf(options_.dscp));
    if (!dscp) return refuse("--dscp", dscp.error());
    first_.dscp = *dscp;
  }

  const Options& options_;
  FirstPacket first_;
};

/// The state of which the walk is, and what has to be said about it.
struct Subject {
  State state;
  std::string note;  ///< empty: it is the kernel's
};

/// Of the chains in the kernel only a fingerprint is known: they are those of the configuration, or they are not.
Subject subjectOf(const Host& host, const Steering& steering) {
  const State& observed = host.picture.observed;
  State desired = desire(host.config, host.picture.world, steering);
  const auto layoutIn = [](const State& state) { return state.nft ? state.nft->layout.traffic : TrafficLayout{}; };
  if (layoutIn(observed) == layoutIn(desired)) {
    Subject subject{.state = observed, .note = {}};
    if (subject.state.nft) subject.state.nft->layout.traffic = layoutIn(desired);
    return subject;
  }
  const std::string would = ": this is what the file's would do";
  return {.state = std::move(desired),
          .note = (layoutIn(observed) ? "the rules for any traffic in the kernel are not those of the file"
                                      : "the rules for any traffic are not in the kernel") +
                  would};
}

std::string title(const Options& options, const Packet& packet) {
  const bool v4 = packet.destination.address.family() == Family::v4;
  const std::string protocol = !options.proto.empty()         ? options.proto
                               : packet.destination.port != 0 ? "tcp"
                               : v4                           ? "icmp"
                                                              : "icmpv6";
  const auto text = [](const Endpoint& end) { return end.port == 0 ? end.address.toString() : end.toString(); };
  return protocol + (packet.source ? " from " + text({*packet.source, packet.sourcePort}) : "") + " to " +
         text(packet.destination) +
         (packet.inputDevice.empty() ? ", sent by this host" : ", in by " + packet.inputDevice) +
         (packet.mark.value == 0 ? "" : ", mark " + hex(packet.mark.value));
}

std::string saidOf(const TrafficWalk& traffic, const World& world, bool forwarded) {
  const Link* link = world.linkNamed(traffic.walk.device);
  if (link != nullptr && isTunnel(world, *link)) return "goes into tunnel " + link->name;
  Walk walk = traffic.walk;
  // What NAT makes of it is not known.
  if (forwarded) walk.source.reset();
  return verdictOf(walk);
}

nlohmann::json document(const FirstPacket& first, const TrafficWalk& traffic, const Subject& subject,
                        const std::string& verdict) {
  using Json = nlohmann::json;
  const auto orNull = [](const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); };
  const Walk& walk = traffic.walk;
  return {{"destination", first.packet.destination.toString()},
          {"protocol", first.packet.protocol},
          {"input", orNull(first.packet.inputDevice)},
          {"mark", hex(walk.mark.value)},
          {"connection_mark", hex(traffic.connection.value)},
          {"rule", orNull(traffic.rule)},
          {"policy", orNull(traffic.policy)},
          {"wan", orNull(traffic.wan)},
          {"inside", traffic.inside},
          {"steps", stepsOf(walk)},
          {"device", walk.device},
          {"gateway", walk.gateway ? Json(walk.gateway->toString()) : Json(nullptr)},
          {"source", walk.source ? Json(walk.source->toString()) : Json(nullptr)},
          {"applied", subject.note.empty()},
          {"why", traffic.why},
          {"verdict", verdict}};
}

}  // namespace

int explainTraffic(const Options& options) {
  const auto destination = destinationOf(options);
  if (!destination) return kUsage;
  PacketReader reader{options};
  const auto first = reader.read(*destination);
  if (!first) {
    std::fprintf(stderr, "wgsteer explain: %s\n", reader.wrong.c_str());
    return kUsage;
  }
  const auto host = lookAtHost(options, {.allRoutes = true});
  if (!host) return report("explain", host.error());
  const World& world = host->picture.world;
  if (!options.in.empty() && world.linkNamed(options.in) == nullptr) {
    std::fprintf(stderr, "wgsteer explain: --in %s: there is no such device\n", options.in.c_str());
    return kUsage;
  }

  const Steering steering = steer(host->config, world);
  const Subject subject = subjectOf(*host, steering);
  const TrafficWalk traffic = wgsteer::explain({host->config, world, steering, subject.state}, *first);
  const std::string verdict = saidOf(traffic, world, !options.in.empty());
  const bool good = traffic.walk.outcome == Outcome::device || traffic.walk.outcome == Outcome::local;
  if (options.json) {
    print(document(*first, traffic, subject, verdict));
  } else {
    if (!subject.note.empty()) printText(subject.note + "\n");
    printText(title(options, first->packet) + "\n");
    printSteps(traffic.walk);
    printText(traffic.why + "\n");
    printVerdict(verdict, good);
  }
  return good ? kOk : kSomethingFound;
}

}  // namespace wgsteer::cli
