// SPDX-License-Identifier: GPL-2.0-or-later
#include "sets.hpp"

#include <netinet/in.h>
// After libc's <netinet/in.h>, or musl defines things twice.
#include <algorithm>
#include <cstring>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <utility>

namespace wgsteer::nft {

namespace {

constexpr std::size_t kIfNameSize = 16;

template <class... F>
struct Overload : F... {
  using F::operator()...;
};

void put(Bytes& bytes, std::span<const std::uint8_t> more) {
  std::ranges::copy(more, bytes.data.begin() + bytes.length);
  bytes.length += static_cast<std::uint32_t>(more.size());
}

void putDevice(Bytes& bytes, std::string_view device) {
  std::memcpy(bytes.data.data() + bytes.length, device.data(), std::min(device.size(), kMaxIfNameLength));
  bytes.length += kIfNameSize;
}

void putPort(Bytes& bytes, std::uint16_t port) {
  const std::array<std::uint8_t, 2> network{static_cast<std::uint8_t>(port >> 8U),
                                            static_cast<std::uint8_t>(port & 0xffU)};
  put(bytes, network);
}

Element deviceElement(SetId set, std::string_view device) {
  Element element{.set = set, .key = {}, .value = {}};
  putDevice(element.key, device);
  return element;
}

Element markElement(SetId set, Mark mark) {
  Element element{.set = set, .key = {}, .value = {}};
  std::memcpy(element.key.data.data(), &mark.value, sizeof mark.value);
  element.key.length = sizeof mark.value;
  return element;
}

SetId byFamily(const Address& address, SetId v4, SetId v6) { return address.family() == Family::v4 ? v4 : v6; }

SetId memoryOf(SysctlKind kind) {
  switch (kind) {
    case SysctlKind::ignoreLinkdown4:
      return SetId::ignoreLinkdown4;
    case SysctlKind::ignoreLinkdown6:
      return SetId::ignoreLinkdown6;
    case SysctlKind::srcValidMark:
      break;
  }
  return SetId::srcValidMark;
}

void appendWan(const NftWan& wan, std::vector<Element>& elements) {
  elements.push_back(deviceElement(SetId::wan, wan.device));
  elements.push_back(deviceElement(SetId::arrival, wan.device));
  elements.back().value = GoTo{wanChainName(wan.slot)};
  elements.push_back(deviceElement(SetId::initiations, wan.device));
  elements.back().value = CounterName{initiationsCounter(wan.slot)};
}

Element elementOf(const NftAddress& own) {
  Element element = deviceElement(byFamily(own.address, SetId::address4, SetId::address6), own.device);
  put(element.key, own.address.bytes());
  return element;
}

Element elementOf(const NftSource& source) {
  Element element = deviceElement(byFamily(source.address, SetId::source4, SetId::source6), source.device);
  Bytes value;
  put(value, source.address.bytes());
  element.value = value;
  return element;
}

Element elementOf(const NftPolicySource& source) {
  Element element = markElement(byFamily(source.address, SetId::policySource4, SetId::policySource6), source.mark);
  Bytes value;
  put(value, source.address.bytes());
  element.value = value;
  return element;
}

Element elementOf(const NftEndpoint& peer) {
  const Address& address = peer.endpoint.address;
  Element element{.set = byFamily(address, SetId::endpoint4, SetId::endpoint6), .key = {}, .value = Return{}};
  put(element.key, address.bytes());
  putPort(element.key, peer.endpoint.port);
  element.key.length += 2;  // padding of the port
  if (peer.policy) element.value = GoTo{policyChainName(*peer.policy)};
  return element;
}

Element elementOf(const NftFlow& flow) {
  const Endpoint& endpoint = flow.flow.endpoint;
  Element element{.set = byFamily(endpoint.address, SetId::flow4, SetId::flow6), .key = {}, .value = Return{}};
  put(element.key, endpoint.address.bytes());
  for (const std::uint16_t port : {endpoint.port, flow.flow.sourcePort}) {
    putPort(element.key, port);
    element.key.length += 2;  // padding of the port
  }
  if (flow.policy) element.value = GoTo{policyChainName(*flow.policy)};
  return element;
}

Element elementOf(const NftListenPort& listen) {
  Element element{.set = SetId::listenPort, .key = {}, .value = {}};
  putPort(element.key, listen.port);
  return element;
}

Element elementOf(const NftForeignMark& foreign) { return markElement(SetId::foreignMark, foreign.mark); }

Status checkDevice(const IfName& device) {
  if (!device.empty() && device.size() <= kMaxIfNameLength) return {};
  return fail(ErrorKind::refused, "nft add element inet wgsteer: \"" + device + "\" is not an interface name");
}

}  // namespace

Status appendElements(const NftMember& member, std::vector<Element>& elements) {
  const auto checked = [&](const IfName& device, auto&& append) -> Status {
    if (Status status = checkDevice(device); !status) return status;
    append();
    return {};
  };
  return std::visit(
      Overload{
          [&](const NftWan& wan) { return checked(wan.device, [&] { appendWan(wan, elements); }); },
          [&](const NftAddress& own) { return checked(own.device, [&] { elements.push_back(elementOf(own)); }); },
          [&](const NftSource& source) {
            return checked(source.device, [&] { elements.push_back(elementOf(source)); });
          },
          [&](const NftTunnel& tunnel) {
            return checked(tunnel.device, [&] { elements.push_back(deviceElement(SetId::tunnel, tunnel.device)); });
          },
          [&](const NftPolicy&) { return Status{}; },
          [&](const NftOwnMark& own) {
            elements.push_back(markElement(SetId::ownMark, own.mark));
            if (!own.keptOut) return Status{};
            elements.push_back(markElement(SetId::keptOut, own.mark));
            elements.back().value = GoTo{kTunnelsChain};
            return Status{};
          },
          [&](const NftSysctl& changed) {
            const Sysctl& sysctl = changed.sysctl;
            return checked(sysctl.device,
                           [&] { elements.push_back(deviceElement(memoryOf(sysctl.kind), sysctl.device)); });
          },
          [&](const auto& member_) {
            elements.push_back(elementOf(member_));
            return Status{};
          },
      },
      member);
}

void encode(nlmsghdr* message, const Element& element, bool withValue) {
  const ElementPtr out = newElement();
  nftnl_set_elem_set(out.get(), NFTNL_SET_ELEM_KEY, element.key.data.data(), element.key.length);
  const auto setVerdict = [&](int code) {
    nftnl_set_elem_set_u32(out.get(), NFTNL_SET_ELEM_VERDICT, static_cast<std::uint32_t>(code));
  };
  if (withValue) {
    std::visit(Overload{
                   [](std::monostate) {},
                   [&](const Bytes& bytes) {
                     nftnl_set_elem_set(out.get(), NFTNL_SET_ELEM_DATA, bytes.data.data(), bytes.length);
                   },
                   [&](const GoTo& to) {
                     setVerdict(NFT_GOTO);
                     nftnl_set_elem_set_str(out.get(), NFTNL_SET_ELEM_CHAIN, to.chain.c_str());
                   },
                   [&](const Return&) { setVerdict(NFT_RETURN); },
                   [&](const CounterName& counter) {
                     nftnl_set_elem_set_str(out.get(), NFTNL_SET_ELEM_OBJREF, counter.name.c_str());
                   },
               },
               element.value);
  }
  nftnl_set_elem_nlmsg_build(message, out.get(), NFTA_LIST_ELEM);
}

namespace {

std::optional<Bytes> bytesOf(nftnl_set_elem* element, std::uint16_t attribute, std::uint32_t length) {
  std::uint32_t actual = 0;
  const void* data = nftnl_set_elem_get(element, attribute, &actual);
  Bytes bytes;
  if (data == nullptr || actual != length || length > bytes.data.size()) return std::nullopt;
  std::memcpy(bytes.data.data(), data, length);
  bytes.length = length;
  return bytes;
}

/// The value as the kind of map has it; false when it has something else.
bool decodeVerdict(nftnl_set_elem* element, Element& decoded) {
  if (!nftnl_set_elem_is_set(element, NFTNL_SET_ELEM_VERDICT)) return true;
  const int code = static_cast<int>(nftnl_set_elem_get_u32(element, NFTNL_SET_ELEM_VERDICT));
  const char* chain = nftnl_set_elem_get_str(element, NFTNL_SET_ELEM_CHAIN);
  if (code == NFT_RETURN) decoded.value = Return{};
  if (code == NFT_GOTO && chain != nullptr) decoded.value = GoTo{chain};
  return code == NFT_RETURN || code == NFT_GOTO;
}

bool decodeData(nftnl_set_elem* element, std::uint32_t length, Element& decoded) {
  if (!nftnl_set_elem_is_set(element, NFTNL_SET_ELEM_DATA)) return true;
  const auto value = bytesOf(element, NFTNL_SET_ELEM_DATA, length);
  if (value) decoded.value = *value;
  return value.has_value();
}

bool decodeCounter(nftnl_set_elem* element, Element& decoded) {
  if (const char* counter = nftnl_set_elem_get_str(element, NFTNL_SET_ELEM_OBJREF))
    decoded.value = CounterName{counter};
  return true;
}

bool decodeValue(const SetShape& shape, nftnl_set_elem* element, Element& decoded) {
  switch (shape.kind) {
    case SetKind::map:
      return decodeData(element, shape.dataLength, decoded);
    case SetKind::verdictMap:
      return decodeVerdict(element, decoded);
    case SetKind::counterMap:
      return decodeCounter(element, decoded);
    case SetKind::set:
      break;
  }
  return true;
}

}  // namespace

std::optional<Element> decode(SetId set, nftnl_set_elem* element) {
  const SetShape& shape = shapeOf(set);
  const auto key = bytesOf(element, NFTNL_SET_ELEM_KEY, shape.keyLength);
  if (!key) return std::nullopt;
  Element decoded{.set = set, .key = *key, .value = {}};
  if (!decodeValue(shape, element, decoded)) return std::nullopt;
  return decoded;
}

namespace {

/// Nothing when the name does not end before the field does, or is followed by more than zeros.
std::optional<IfName> deviceIn(const Bytes& key) {
  const auto name = key.view().first(kIfNameSize);
  const auto end = std::ranges::find(name, std::uint8_t{0});
  if (end == name.begin() || end == name.end()) return std::nullopt;
  if (std::any_of(end, name.end(), [](std::uint8_t byte) { return byte != 0; })) return std::nullopt;
  return IfName(name.begin(), end);
}

Address addressIn(const Bytes& bytes, std::size_t offset, Family family) {
  return *Address::fromBytes(bytes.view().subspan(offset, bitsOf(family) / 8U));
}

std::uint16_t portIn(const Bytes& key, std::size_t offset) {
  return static_cast<std::uint16_t>(key.data[offset] << 8U | key.data[offset + 1]);
}

Mark markIn(const Bytes& key) {
  Mark mark;
  std::memcpy(&mark.value, key.data.data(), sizeof mark.value);
  return mark;
}

Endpoint endpointIn(const Bytes& key, Family family) {
  return {addressIn(key, 0, family), portIn(key, bitsOf(family) / 8U)};
}

Flow flowIn(const Bytes& key, Family family) {
  constexpr std::size_t kPaddedPort = 4;
  return {endpointIn(key, family), portIn(key, bitsOf(family) / 8U + kPaddedPort)};
}

Family familyOf(SetId set) {
  const bool v6 = set == SetId::address6 || set == SetId::source6 || set == SetId::policySource6 ||
                  set == SetId::endpoint6 || set == SetId::flow6;
  return v6 ? Family::v6 : Family::v4;
}

std::string keyText(const Element& element) {
  const Family family = familyOf(element.set);
  switch (element.set) {
    case SetId::endpoint4:
    case SetId::endpoint6: {
      const Endpoint endpoint = endpointIn(element.key, family);
      return endpoint.address.toString() + " . " + std::to_string(endpoint.port);
    }
    case SetId::flow4:
    case SetId::flow6: {
      const Flow flow = flowIn(element.key, family);
      return flow.endpoint.address.toString() + " . " + std::to_string(flow.endpoint.port) + " . " +
             std::to_string(flow.sourcePort);
    }
    case SetId::listenPort:
      return std::to_string(portIn(element.key, 0));
    case SetId::foreignMark:
    case SetId::ownMark:
    case SetId::keptOut:
    case SetId::policySource4:
    case SetId::policySource6:
      return hex(markIn(element.key).value);
    default:
      break;
  }
  std::string text = deviceIn(element.key).value_or("?");
  if (element.set == SetId::address4 || element.set == SetId::address6)
    text += " . " + addressIn(element.key, kIfNameSize, family).toString();
  return text;
}

}  // namespace

std::string toString(const Element& element) {
  std::string key = keyText(element);
  return std::visit(
      Overload{
          [&](std::monostate) { return key; },
          [&](const Bytes& bytes) { return key + " : " + addressIn(bytes, 0, familyOf(element.set)).toString(); },
          [&](const GoTo& to) { return key + " : goto " + to.chain; },
          [&](const Return&) { return key + " : return"; },
          [&](const CounterName& counter) { return key + " : \"" + counter.name + "\""; },
      },
      element.value);
}

namespace {

bool takePeer(NftTable& table, const Element& element) {
  std::optional<Slot> policy;
  if (const auto* to = std::get_if<GoTo>(&element.value)) policy = slotFromName(to->chain, kPolicyPrefix);
  if (!policy && !std::holds_alternative<Return>(element.value)) return false;
  const Family family = familyOf(element.set);
  if (element.set == SetId::flow4 || element.set == SetId::flow6)
    table.flows.edit().emplace(flowIn(element.key, family), policy);
  else
    table.endpoints.edit().emplace(endpointIn(element.key, family), policy);
  return true;
}

bool takePolicySource(NftTable& table, const Element& element) {
  const auto* value = std::get_if<Bytes>(&element.value);
  if (value == nullptr) return false;
  const Family family = familyOf(element.set);
  table.policySources.emplace(std::pair{markIn(element.key), family}, addressIn(*value, 0, family));
  return true;
}

bool takeOfDevice(Contents& contents, const Element& element, const IfName& device) {
  NftTable& table = contents.table;
  const Family family = familyOf(element.set);
  switch (element.set) {
    case SetId::wan:
      contents.wanSet.insert(device);
      return true;
    case SetId::tunnel:
      return table.tunnels.insert(device).second;
    case SetId::address4:
    case SetId::address6:
      table.addresses.emplace(device, addressIn(element.key, kIfNameSize, family));
      return true;
    case SetId::source4:
    case SetId::source6: {
      const auto* value = std::get_if<Bytes>(&element.value);
      if (value != nullptr) table.sources.emplace(std::pair{device, family}, addressIn(*value, 0, family));
      return value != nullptr;
    }
    case SetId::initiations: {
      const auto* counter = std::get_if<CounterName>(&element.value);
      if (counter != nullptr) contents.initiations.emplace(device, counter->name);
      return counter != nullptr;
    }
    case SetId::arrival: {
      const auto* to = std::get_if<GoTo>(&element.value);
      const auto slot = to == nullptr ? std::nullopt : slotFromName(to->chain, kWanPrefix);
      if (slot) table.wans.emplace(device, *slot);
      return slot.has_value();
    }
    case SetId::ignoreLinkdown4:
      return table.changedSysctls.insert({SysctlKind::ignoreLinkdown4, device}).second;
    case SetId::ignoreLinkdown6:
      return table.changedSysctls.insert({SysctlKind::ignoreLinkdown6, device}).second;
    case SetId::srcValidMark:
      return table.changedSysctls.insert({SysctlKind::srcValidMark, device}).second;
    default:
      return false;
  }
}

}  // namespace

bool Contents::take(const Element& element) {
  switch (element.set) {
    case SetId::endpoint4:
    case SetId::endpoint6:
    case SetId::flow4:
    case SetId::flow6:
      return takePeer(table, element);
    case SetId::policySource4:
    case SetId::policySource6:
      return takePolicySource(table, element);
    case SetId::listenPort:
      table.listenPorts.insert(portIn(element.key, 0));
      return true;
    case SetId::foreignMark:
      table.foreignMarks.insert(markIn(element.key));
      return true;
    case SetId::ownMark:
      ownMarks.insert(markIn(element.key));
      table.ownMarks.try_emplace(markIn(element.key), false);
      return true;
    case SetId::keptOut: {
      const auto* to = std::get_if<GoTo>(&element.value);
      table.ownMarks.insert_or_assign(markIn(element.key), true);
      return to != nullptr && to->chain == kTunnelsChain;
    }
    default:
      break;
  }
  const auto device = deviceIn(element.key);
  return device && takeOfDevice(*this, element, *device);
}

bool Contents::consistent() const {
  if (ownMarks.size() != table.ownMarks.size()) return false;
  if (wanSet.size() != table.wans.size() || initiations.size() != table.wans.size()) return false;
  std::set<Slot> slots;
  return std::ranges::all_of(table.wans, [&](const auto& wan) {
    const auto& [device, slot] = wan;
    const auto counter = initiations.find(device);
    return slots.insert(slot).second && wanSet.contains(device) && counter != initiations.end() &&
           counter->second == initiationsCounter(slot);
  });
}

}  // namespace wgsteer::nft
