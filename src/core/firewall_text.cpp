// SPDX-License-Identifier: GPL-2.0-or-later
// Rules in roughly the syntax of nft(8), so that users can find them in their own files.
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <span>

#include "wgsteer/core/address.hpp"
#include "wgsteer/core/firewall.hpp"

namespace wgsteer::firewall {

namespace {

enum class Format : std::uint8_t { bytes, word, name, protocol, nfProtocol, address, port, presence, index, type };

struct Loaded {
  std::string text = "?";
  Format format = Format::bytes;
};

Loaded textOf(Field field) {
  switch (field) {
    case Field::mark:
      return {"meta mark", Format::word};
    case Field::connectionMark:
      return {"ct mark", Format::word};
    case Field::connectionState:
      return {"ct state", Format::word};
    case Field::connectionStatus:
      return {"ct status", Format::word};
    case Field::cgroup:
      return {"meta cgroup", Format::word};
    case Field::inputIndex:
      return {"iif", Format::index};
    case Field::outputIndex:
      return {"oif", Format::index};
    case Field::inputName:
      return {"iifname", Format::name};
    case Field::outputName:
      return {"oifname", Format::name};
    case Field::nfProtocol:
      return {"meta nfproto", Format::nfProtocol};
    case Field::l4Protocol:
      return {"meta l4proto", Format::protocol};
    case Field::etherType:
      break;
  }
  return {"meta protocol", Format::bytes};
}

Loaded textOf(const LoadPayload& load) {
  struct Known {
    Header header;
    std::uint32_t offset;
    std::uint32_t length;
    const char* text;
    Format format;
  };
  static constexpr std::array kKnown{Known{Header::network, 12, 4, "ip saddr", Format::address},
                                     Known{Header::network, 16, 4, "ip daddr", Format::address},
                                     Known{Header::network, 9, 1, "ip protocol", Format::protocol},
                                     Known{Header::network, 8, 16, "ip6 saddr", Format::address},
                                     Known{Header::network, 24, 16, "ip6 daddr", Format::address},
                                     Known{Header::transport, 0, 2, "sport", Format::port},
                                     Known{Header::transport, 2, 2, "dport", Format::port}};
  const auto* known = std::ranges::find_if(kKnown, [&](const Known& one) {
    return one.header == load.header && one.offset == load.offset && one.length == load.length;
  });
  if (known != kKnown.end()) return {known->text, known->format};
  return {std::string{load.header == Header::network ? "@nh," : "@th,"} + std::to_string(load.offset * 8) + "," +
              std::to_string(load.length * 8),
          Format::bytes};
}

Loaded textOf(const LoadRoute& load) {
  using enum LoadRoute::Result;
  std::string text = load.ofSource ? "fib saddr" : "fib daddr";
  if (load.withMark) text += " . mark";
  if (load.byInput) text += " . iif";
  if (load.result == type) return {text + " type", Format::type};
  if (load.result == name) return {text + " oifname", Format::name};
  return {text + " oif", load.result == present ? Format::presence : Format::index};
}

std::string hexOf(const Bytes& bytes) { return "0x" + hexBytes(bytes); }

std::uint32_t wordOf(const Bytes& bytes) {
  std::uint32_t word = 0;
  std::memcpy(&word, bytes.data(), std::min(bytes.size(), sizeof word));
  return word;
}

std::string protocolName(std::uint8_t number) {
  switch (number) {
    case 1:
      return "icmp";
    case 6:
      return "tcp";
    case 17:
      return "udp";
    case 58:
      return "ipv6-icmp";
    default:
      return std::to_string(number);
  }
}

/// RTN_*.
std::string typeName(std::uint32_t number) {
  static constexpr std::array<std::string_view, 6> kNames{"unspec",    "unicast", "local",
                                                          "broadcast", "anycast", "multicast"};
  return number < kNames.size() ? std::string{kNames[number]} : std::to_string(number);
}

std::string nameIn(const Bytes& bytes) {
  const std::string all{bytes.begin(), bytes.end()};
  const std::string name = all.substr(0, all.find('\0'));
  // Compared without its terminating zero, it is a prefix of names.
  return "\"" + name + (name.size() == all.size() ? "*\"" : "\"");
}

std::string format(const Bytes& bytes, Format format) {
  if (bytes.empty()) return hexOf(bytes);
  if (format == Format::word && bytes.size() == sizeof(std::uint32_t)) return hex(wordOf(bytes));
  if (format == Format::index && bytes.size() == sizeof(std::uint32_t)) return std::to_string(wordOf(bytes));
  if (format == Format::type && bytes.size() == sizeof(std::uint32_t)) return typeName(wordOf(bytes));
  if (format == Format::name) return nameIn(bytes);
  if (format == Format::protocol) return protocolName(bytes.front());
  if (format == Format::nfProtocol) return bytes.front() == 2 ? "ipv4" : "ipv6";
  if (format == Format::port && bytes.size() == 2) return std::to_string(bytes[0] << 8U | bytes[1]);
  if (format == Format::presence) return bytes.front() != 0 ? "exists" : "missing";
  if (format == Format::address)
    if (const auto address = Address::fromBytes(bytes)) return address->toString();
  return hexOf(bytes);
}

class Writer {
 public:
  std::string write(const Rule& rule) {
    for (const Step& one : rule.steps) std::visit([this](const auto& known) { step(known); }, one);
    return std::move(text_);
  }

 private:
  void step(const LoadField& load) { at(load.to) = textOf(load.field); }
  void step(const LoadPayload& load) {
    Loaded loaded = textOf(load);
    if (loaded.format == Format::port) {
      loaded.text = protocol_ + " " + loaded.text;
      takeBack(implied_);
    }
    at(load.to) = std::move(loaded);
  }
  void step(const LoadRoute& load) { at(load.to) = textOf(load); }
  void step(const LoadValue& load) {
    const bool mark = load.value.size() == sizeof(std::uint32_t);
    at(load.to) = {mark ? hex(wordOf(load.value)) : hexOf(load.value), Format::bytes};
  }
  void step(const LoadUnknown& load) { at(load.to) = {load.what, Format::bytes}; }
  void step(const MaskXor& change) {
    Loaded made = at(change.from);
    const bool all = std::ranges::all_of(change.mask, [](std::uint8_t byte) { return byte == 0xff; });
    const bool none = std::ranges::all_of(change.mask, [](std::uint8_t byte) { return byte == 0; });
    const bool toggles = std::ranges::any_of(change.toggled, [](std::uint8_t byte) { return byte != 0; });
    if (none) made.text = format(change.toggled, made.format);
    if (!all && !none) made.text += " & " + format(change.mask, made.format);
    if (!none && toggles) made.text += (all ? " ^ " : " | ") + format(change.toggled, made.format);
    at(change.to) = made;
  }
  void step(const Combine& change) {
    const auto masked = [this](Register from, std::uint32_t mask) {
      return at(from).text + (mask == 0xffffffff ? "" : " & " + hex(mask));
    };
    std::string made = change.oneMask == 0 ? "" : masked(change.one, change.oneMask);
    if (change.otherMask != 0) made += (made.empty() ? "" : " | ") + masked(change.other, change.otherMask);
    at(change.to) = {made.empty() ? "0" : made, Format::word};
  }
  void step(const Compare& test) {
    static constexpr std::array<std::string_view, 6> kRelations{"", "!= ", "< ", "<= ", "> ", ">= "};
    const Loaded& loaded = at(test.from);
    const bool masked = test.relation == Relation::equal && loaded.text.contains('&');
    say(loaded.text + " " + (masked ? "== " : std::string{kRelations[static_cast<std::size_t>(test.relation)]}) +
        format(test.value, loaded.format));
    if (loaded.format == Format::protocol && test.relation == Relation::equal) noteProtocol(test.value);
  }
  /// nft(8) writes `tcp dport 22` for what the kernel has as `meta l4proto tcp th dport 22`.
  void noteProtocol(const Bytes& value) {
    const std::string name = format(value, Format::protocol);
    if (name != "tcp" && name != "udp") return;
    protocol_ = name;
    implied_ = "meta l4proto " + name;
  }
  void step(const Within& test) {
    const Loaded& loaded = at(test.from);
    say(loaded.text + (test.inverted ? " != " : " ") + format(test.first, loaded.format) + "-" +
        format(test.last, loaded.format));
  }
  void step(const Lookup& lookup) {
    const Loaded& loaded = at(lookup.from);
    const std::string set = lookup.name.starts_with("__") ? "{ ... }" : "@" + lookup.name;
    if (lookup.to) {
      at(*lookup.to) = {loaded.text + " map " + set, Format::bytes};
      return;
    }
    say(loaded.text + (lookup.inverted ? " != " : lookup.verdicts ? " vmap " : " ") + set);
  }
  void step(const StoreMark& change) {
    say(std::string{change.ofConnection ? "ct" : "meta"} + " mark set " + at(change.from).text);
  }
  void step(const Untrack&) { say("notrack"); }
  void step(const Translate&) { say("nat"); }
  void step(const MayMatch& test) { say(test.what); }
  void step(const Verdict& verdict) {
    static constexpr std::array<std::string_view, 8> kNames{"accept", "drop",   "reject",   "jump ",
                                                            "goto ",  "return", "continue", ""};
    say(std::string{kNames[static_cast<std::size_t>(verdict.kind)]} + verdict.chain);
  }

  Loaded& at(Register number) { return loaded_[std::min<std::size_t>(number, kRegisters)]; }
  void say(const std::string& word) {
    if (!text_.empty()) text_ += ' ';
    text_ += word;
  }
  void takeBack(const std::string& words) {
    if (words.empty() || !text_.ends_with(words)) return;
    text_.resize(text_.size() - words.size());
    if (text_.ends_with(' ')) text_.pop_back();
  }

  std::array<Loaded, kRegisters + 1> loaded_;
  std::string text_;
  std::string protocol_ = "th";  ///< of the transport header, as far as the rule has said
  std::string implied_;          ///< the words that said it
};

}  // namespace

std::string nameOf(TableFamily family, const std::string& table) {
  static constexpr std::array<std::string_view, 3> kFamilies{"ip ", "ip6 ", "inet "};
  return std::string{kFamilies[static_cast<std::size_t>(family)]} + table;
}
std::string nameOf(const Chain& chain) { return nameOf(chain.family, chain.table); }

std::string gist(const Rule& rule) { return Writer{}.write(rule); }

}  // namespace wgsteer::firewall
