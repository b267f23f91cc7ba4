// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/firewall_machine.hpp"

#include <algorithm>
#include <cstring>
#include <variant>

namespace wgsteer::firewall {

namespace {

constexpr std::size_t kNameSize = 16;
constexpr std::int32_t kConntrackPriority = -200;
// NFPROTO_*, ETH_P_* and RTN_*.
constexpr std::uint8_t kIpv4 = 2;
constexpr std::uint8_t kIpv6 = 10;
constexpr std::array<std::uint8_t, 2> kEtherIpv4{0x08, 0x00};
constexpr std::array<std::uint8_t, 2> kEtherIpv6{0x86, 0xdd};
constexpr std::uint32_t kTypeUnicast = 1;
constexpr std::uint32_t kTypeLocal = 2;
constexpr std::uint32_t kAllBits = 0xffffffff;
/// The kernel gives it to lo in each namespace.
constexpr std::uint32_t kLoopbackIndex = 1;

using Span = std::span<const std::uint8_t>;

/// The number of words that this many bytes occupy.
std::size_t words(std::size_t size) { return (size + kWordSize - 1) / kWordSize; }
bool fits(Register from, std::size_t size) { return from + words(size) <= kRegisters; }

Match both(Match one, Match other) { return std::min(one, other); }
Match inverted(Match match) {
  if (match == Match::maybe) return match;
  return match == Match::yes ? Match::no : Match::yes;
}
Match of(bool holds) { return holds ? Match::yes : Match::no; }

std::uint32_t wordOf(Span bytes) {
  std::uint32_t value = 0;
  std::memcpy(&value, bytes.data(), std::min(bytes.size(), sizeof value));
  return value;
}

bool isOfRoute(Field field) {
  return field == Field::inputIndex || field == Field::outputIndex || field == Field::inputName ||
         field == Field::outputName;
}

/// A name is compared with its terminating zero, or it is a prefix of names.
bool isLoopback(Span value) {
  static constexpr std::array<std::uint8_t, 3> kName{'l', 'o', 0};
  if (value.size() == kWordSize && wordOf(value) == kLoopbackIndex) return true;
  return value.size() >= kName.size() && std::ranges::equal(value.first(kName.size()), kName);
}

bool holds(Relation relation, std::strong_ordering order) {
  switch (relation) {
    case Relation::equal:
      return order == 0;
    case Relation::notEqual:
      return order != 0;
    case Relation::less:
      return order < 0;
    case Relation::lessOrEqual:
      return order <= 0;
    case Relation::greater:
      return order > 0;
    case Relation::greaterOrEqual:
      break;
  }
  return order >= 0;
}

std::strong_ordering compare(Span one, Span other) {
  return std::lexicographical_compare_three_way(one.begin(), one.end(), other.begin(), other.end());
}

/// A header of which only some bytes are known.
struct Image {
  std::array<std::uint8_t, 40> bytes{};
  std::array<std::uint8_t, 40> known{};

  void put(std::size_t offset, Span part) {
    std::ranges::copy(part, bytes.begin() + static_cast<std::ptrdiff_t>(offset));
    std::fill_n(known.begin() + static_cast<std::ptrdiff_t>(offset), part.size(), std::uint8_t{0xff});
  }
  void put(std::size_t offset, const std::optional<Address>& address) {
    if (address) put(offset, address->bytes());
  }
  void put(std::size_t offset, std::optional<std::uint16_t> port) {
    if (!port) return;
    const std::array<std::uint8_t, 2> wire{static_cast<std::uint8_t>(*port >> 8U), static_cast<std::uint8_t>(*port)};
    put(offset, Span{wire});
  }
};

Image networkHeader(const Sample& sample) {
  Image image;
  const bool v4 = sample.family == Family::v4;
  if (!sample.anyTraffic) image.put(v4 ? 9 : 6, Span{&sample.protocol, 1});
  image.put(v4 ? 12 : 8, sample.source);
  image.put(v4 ? 16 : 24, sample.destination);
  return image;
}

Image transportHeader(const Sample& sample) {
  Image image;
  image.put(0, sample.sourcePort);
  image.put(2, sample.destinationPort);
  return image;
}

}  // namespace

void Machine::load(const Sample& sample) {
  sample_ = sample;
  mark_ = {.value = sample.mark.value};
  // What earlier packets have left in their connection is unknown.
  connectionMark_ = {.value = 0, .known = sample.connectionState == kNew ? 0xffffffff : 0};
  untracked_ = false;
  mayBeTranslated_ = sample.connectionState != kNew;
}

void Machine::enter(HookPoint point, std::int32_t priority) {
  point_ = point;
  // In the other hooks, conntrack has seen the packet before.
  const bool first = point == HookPoint::prerouting || point == HookPoint::output;
  afterConntrack_ = !first || priority > kConntrackPriority;
}

RuleResult Machine::run(const Rule& rule, bool certain) {
  RuleResult result;
  certain_ = certain;
  for (const Step& one : rule.steps) {
    std::visit([&](const auto& known) { step(known, result); }, one);
    if (result.match == Match::no || result.verdict) break;
  }
  return result;
}

void Machine::step(const LoadField& load, RuleResult&) {
  const bool leaves = point_ == HookPoint::output || point_ == HookPoint::postrouting;
  const auto index = [&](bool there) {
    putWord(load.to, there ? static_cast<std::uint32_t>(sample_.deviceIndex.value) : 0);
  };
  const auto byte = [&](std::uint8_t value) { put(load.to, Span{&value, 1}); };
  if (sample_.anyTraffic && isOfRoute(load.field)) return putDevice(load.to, load.field);
  switch (load.field) {
    case Field::mark:
      return putMark(load.to, mark_, {.mark = kAllBits});
    case Field::connectionMark: {
      const std::uint32_t known = untracked_ || !afterConntrack_ ? 0 : connectionMark_.known;
      return putMark(load.to, {.value = connectionMark_.value, .known = known}, {.connection = kAllBits});
    }
    case Field::connectionState:
      return putWord(load.to, sample_.connectionState, untracked_ || !afterConntrack_ ? 0 : 0xffffffff);
    case Field::connectionStatus:
      return putWord(load.to, 0, untracked_ || !afterConntrack_ || mayBeTranslated_ ? 0 : kTranslated);
    case Field::cgroup:
      // WireGuard in the kernel is in no class; whoever puts wireguard-go into one means its packets.
      return putWord(load.to, 0, sample_.anyTraffic ? 0 : kAllBits);
    case Field::inputIndex:
      return index(!leaves);
    case Field::outputIndex:
      return index(leaves);
    case Field::inputName:
      return putName(load.to, leaves ? IfName{} : sample_.device);
    case Field::outputName:
      return putName(load.to, leaves ? sample_.device : IfName{});
    case Field::nfProtocol:
      return byte(sample_.family == Family::v4 ? kIpv4 : kIpv6);
    case Field::l4Protocol:
      return sample_.anyTraffic ? putUnknown(load.to, 1) : byte(sample_.protocol);
    case Field::etherType:
      return put(load.to, Span{sample_.family == Family::v4 ? kEtherIpv4 : kEtherIpv6});
  }
}

void Machine::step(const LoadPayload& load, RuleResult&) {
  const Image image = load.header == Header::network ? networkHeader(sample_) : transportHeader(sample_);
  putUnknown(load.to, load.length);
  if (!fits(load.to, load.length)) return;
  const std::size_t start = load.to * kWordSize;
  for (std::size_t i = 0; i < load.length && i + load.offset < image.bytes.size(); ++i) {
    bytes_[start + i] = image.bytes[load.offset + i];
    known_[start + i] = image.known[load.offset + i];
  }
  // What is left of the last word is zero.
  for (std::size_t i = load.length; i < words(load.length) * kWordSize; ++i) known_[start + i] = 0xff;
}

void Machine::step(const LoadRoute& load, RuleResult&) {
  const auto& target = load.ofSource ? sample_.source : sample_.destination;
  std::optional<bool> found;
  // Our own address is the source of outgoing packets and the destination of incoming ones.
  if (load.result == LoadRoute::Result::type && sample_.anyTraffic) return putUnknown(load.to, kWordSize);
  if (load.result == LoadRoute::Result::type)
    return putWord(load.to, load.ofSource != sample_.incoming ? kTypeLocal : kTypeUnicast);
  if (target && (!load.withMark || mark_.isKnown(0xffffffff)))
    found = oracle_({.load = load,
                     .target = *target,
                     .other = load.ofSource ? sample_.destination : sample_.source,
                     .mark = {load.withMark ? mark_.value : 0}},
                    sample_);
  storeRouteResult(load, found);
}

void Machine::storeRouteResult(const LoadRoute& load, std::optional<bool> found) {
  const bool device = found == true && load.byInput;
  if (load.result == LoadRoute::Result::present) {
    const std::uint8_t present = found.value_or(false) ? 1 : 0;
    return found ? put(load.to, Span{&present, 1}) : putUnknown(load.to, 1);
  }
  if (load.result == LoadRoute::Result::name)
    return found == false || device ? putName(load.to, device ? sample_.device : IfName{})
                                    : putUnknown(load.to, kNameSize);
  if (found == false || device)
    return putWord(load.to, device ? static_cast<std::uint32_t>(sample_.deviceIndex.value) : 0);
  putUnknown(load.to, kWordSize);
}

void Machine::step(const LoadValue& load, RuleResult&) { put(load.to, load.value); }

void Machine::step(const LoadUnknown& load, RuleResult&) {
  putUnknown(load.to, kNameSize);
  if (!load.mayBeMark) return;
  for (std::size_t i = load.to; i < std::min<std::size_t>(load.to + words(kNameSize), kRegisters); ++i)
    origins_[i] = {.mark = kAllBits, .connection = kAllBits};
}

void Machine::step(const MaskXor& change, RuleResult&) {
  const std::size_t size = change.mask.size();
  if (!fits(change.from, size) || !fits(change.to, size) || change.toggled.size() != size)
    return putUnknown(change.to, size);
  for (std::size_t i = 0; i < size; ++i) {
    const std::size_t from = change.from * kWordSize + i;
    const std::size_t to = change.to * kWordSize + i;
    bytes_[to] = static_cast<std::uint8_t>((bytes_[from] & change.mask[i]) ^ change.toggled[i]);
    known_[to] = static_cast<std::uint8_t>(known_[from] | ~change.mask[i]);
  }
  const Origin origin = originOf(change.from);
  const std::uint32_t kept = size == kWordSize ? wordOf(change.mask) & ~wordOf(change.toggled) : 0;
  for (std::size_t i = 0; i < words(size); ++i) origins_[change.to + i] = {};
  origins_[change.to] = {.mark = origin.mark & kept, .connection = origin.connection & kept};
}

void Machine::step(const Combine& change, RuleResult&) {
  const PartialMark one = word(change.one);
  const PartialMark other = word(change.other);
  const Origin of = originOf(change.one);
  const Origin with = originOf(change.other);
  const auto alone = [](std::uint32_t bits, std::uint32_t mask, std::uint32_t without) {
    return bits & mask & ~without;
  };
  const auto from = [&](std::uint32_t Origin::* bits) {
    return alone(of.*bits, change.oneMask, change.otherMask) | alone(with.*bits, change.otherMask, change.oneMask);
  };
  putMark(change.to,
          {.value = (one.value & change.oneMask) ^ (other.value & change.otherMask),
           .known = (one.known | ~change.oneMask) & (other.known | ~change.otherMask)},
          {.mark = from(&Origin::mark), .connection = from(&Origin::connection)});
}

void Machine::step(const Compare& test, RuleResult& result) {
  Match match = Match::maybe;
  if (test.relation == Relation::equal || test.relation == Relation::notEqual) {
    match = equals(test.from, test.value);
    if (test.relation == Relation::notEqual) match = inverted(match);
  } else if (allKnown(test.from, test.value.size())) {
    match = of(holds(test.relation, compare(at(test.from, test.value.size()), test.value)));
  }
  result.match = both(result.match, match);
}

void Machine::step(const Within& test, RuleResult& result) {
  Match match = Match::maybe;
  if (test.first.size() == test.last.size() && allKnown(test.from, test.first.size())) {
    const Span value = at(test.from, test.first.size());
    match = of(compare(value, test.first) >= 0 && compare(value, test.last) <= 0);
  }
  result.match = both(result.match, test.inverted ? inverted(match) : match);
}

namespace {

/// The element for this key; null if there is none.
const Set::Element* find(const Set& set, Span key) {
  const auto after = std::ranges::upper_bound(
      set.elements, key, [](Span one, Span other) { return compare(one, other) < 0; },
      [](const Set::Element& element) { return Span{element.key}; });
  const Set::Element* found = after == set.elements.begin() ? nullptr : &*std::prev(after);
  const bool in = found != nullptr && !found->endsInterval && (set.intervals || std::ranges::equal(found->key, key));
  if (in) return found;
  return set.forOthers ? &*set.forOthers : nullptr;
}

}  // namespace

void Machine::step(const Lookup& lookup, RuleResult& result) {
  const std::size_t size = lookup.set && !lookup.set->elements.empty() ? lookup.set->elements.front().key.size() : 0;
  if (lookup.set && (size == 0 || allKnown(lookup.from, size))) {
    const Set::Element* element = find(*lookup.set, at(lookup.from, size));
    result.match = both(result.match, of((element != nullptr) != lookup.inverted));
    if (element != nullptr && result.match != Match::no) take(lookup, *element, result);
    return;
  }
  result.match = both(result.match, Match::maybe);
  if (lookup.to && lookup.set)
    putCommon(*lookup.to, *lookup.set);
  else if (lookup.to)
    putUnknown(*lookup.to, kNameSize);
  if (lookup.verdicts) result.verdict = Verdict{Verdict::Kind::mayEnd, lookup.name};
}

void Machine::take(const Lookup& lookup, const Set::Element& element, RuleResult& result) {
  if (lookup.verdicts)
    result.verdict = element.verdict ? element.verdict : Verdict{Verdict::Kind::mayEnd, lookup.name};
  else if (lookup.to)
    put(*lookup.to, element.data);
}

void Machine::step(const StoreMark& change, RuleResult& result) {
  // Before conntrack there is no connection to write to.
  if (change.ofConnection && !afterConntrack_) return;
  PartialMark& mark = change.ofConnection ? connectionMark_ : mark_;
  const PartialMark before = mark;
  const PartialMark after = word(change.from);
  const Origin origin = originOf(change.from);
  result.stores.push_back({.ofConnection = change.ofConnection,
                           .match = result.match,
                           .before = before,
                           .after = after,
                           .kept = change.ofConnection ? origin.connection : origin.mark,
                           .fromOther = change.ofConnection ? origin.mark : origin.connection});
  if (certain_ && result.match == Match::yes) {
    mark = after;
    const std::uint32_t ours = sample_.expected.mask;
    result.setsExpectedBits |=
        !change.ofConnection && (((before.value ^ after.value) & ours) != 0 || !after.isKnown(ours));
    return;
  }
  mark.known &= after.known & ~(before.value ^ after.value);
}

void Machine::step(const Untrack&, RuleResult&) { untracked_ = true; }

void Machine::step(const Translate&, RuleResult&) { mayBeTranslated_ = true; }

void Machine::step(const MayMatch&, RuleResult& result) { result.match = both(result.match, Match::maybe); }

void Machine::step(const Verdict& verdict, RuleResult& result) { result.verdict = verdict; }

void Machine::put(Register to, Span bytes) {
  putUnknown(to, bytes.size());
  if (!fits(to, bytes.size())) return;
  std::ranges::copy(bytes, bytes_.begin() + to * kWordSize);
  // What is left of the last word is zero.
  std::fill_n(known_.begin() + to * kWordSize, words(bytes.size()) * kWordSize, std::uint8_t{0xff});
}

void Machine::putUnknown(Register to, std::size_t size) {
  for (std::size_t i = to; i < std::min<std::size_t>(to + words(size), kRegisters); ++i) {
    std::fill_n(bytes_.begin() + static_cast<std::ptrdiff_t>(i * kWordSize), kWordSize, std::uint8_t{0});
    std::fill_n(known_.begin() + static_cast<std::ptrdiff_t>(i * kWordSize), kWordSize, std::uint8_t{0});
    origins_[i] = {};
  }
}

void Machine::putWord(Register to, std::uint32_t value, std::uint32_t known) {
  putUnknown(to, kWordSize);
  if (!fits(to, kWordSize)) return;
  std::memcpy(bytes_.data() + to * kWordSize, &value, kWordSize);
  std::memcpy(known_.data() + to * kWordSize, &known, kWordSize);
}

void Machine::putName(Register to, const IfName& name) {
  std::array<std::uint8_t, kNameSize> padded{};
  std::copy_n(name.begin(), std::min(name.size(), kNameSize - 1), padded.begin());
  put(to, padded);
}

void Machine::putMark(Register to, PartialMark mark, Origin origin) {
  putWord(to, mark.value, mark.known);
  if (fits(to, kWordSize)) origins_[to] = origin;
}

/// Of a packet that may have come in by any device and may leave by any, except lo.
void Machine::putDevice(Register to, Field field) {
  const bool isName = field == Field::inputName || field == Field::outputName;
  const bool isInput = field == Field::inputIndex || field == Field::inputName;
  const bool none =
      point_ == (isInput ? HookPoint::output : HookPoint::prerouting) || (!isInput && point_ == HookPoint::input);
  if (none) return isName ? putName(to, IfName{}) : putWord(to, 0);
  putUnknown(to, isName ? kNameSize : kWordSize);
  if (fits(to, kWordSize)) origins_[to].device = true;
}

/// What all values of a map have in common, whichever it is.
void Machine::putCommon(Register to, const Set& set) {
  PartialMark common{.value = 0, .known = 0};
  bool isFirst = true;
  const auto take = [&](const Set::Element& element) {
    const std::uint32_t value = wordOf(element.data);
    if (isFirst) common = {.value = value, .known = kAllBits};
    common.known &= element.data.size() == kWordSize ? ~(value ^ common.value) : 0;
    isFirst = false;
  };
  if (set.forOthers) take(*set.forOthers);
  for (const Set::Element& element : set.elements)
    if (!element.endsInterval) take(element);
  putUnknown(to, kNameSize);
  putWord(to, common.value & common.known, common.known);
}

PartialMark Machine::word(Register from) const {
  if (!fits(from, kWordSize)) return {.value = 0, .known = 0};
  PartialMark mark;
  std::memcpy(&mark.value, bytes_.data() + from * kWordSize, kWordSize);
  std::memcpy(&mark.known, known_.data() + from * kWordSize, kWordSize);
  return mark;
}

Match Machine::equals(Register from, Span value) const {
  if (!fits(from, value.size())) return Match::maybe;
  if (originOf(from).device && isLoopback(value)) return Match::no;
  Match match = Match::yes;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const std::uint8_t known = known_[from * kWordSize + i];
    if (((bytes_[from * kWordSize + i] ^ value[i]) & known) != 0) return Match::no;
    if (known != 0xff) match = Match::maybe;
  }
  return match;
}

bool Machine::allKnown(Register from, std::size_t size) const {
  return fits(from, size) && std::ranges::all_of(std::span{known_}.subspan(from * kWordSize, size),
                                                 [](std::uint8_t bits) { return bits == 0xff; });
}

Span Machine::at(Register from, std::size_t size) const {
  return fits(from, size) ? Span{bytes_}.subspan(from * kWordSize, size) : Span{};
}

}  // namespace wgsteer::firewall
