// SPDX-License-Identifier: GPL-2.0-or-later
#include "foreign/mwan3.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include "config/text.hpp"
#include "config/uci.hpp"
#include "config/values.hpp"
#include "foreign/peer_endpoint.hpp"

namespace wgsteer::foreign {

namespace {

template <class T>
std::optional<T> number(std::string_view text, int base = 10) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::int64_t> decimal(std::string_view text) {
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  return number<std::int64_t>(text);
}

std::optional<std::int64_t> shellNumber(std::string_view text) {
  if (text.starts_with("0x") || text.starts_with("0X")) return number<std::int64_t>(text.substr(2), 16);
  return text.size() > 1 && text.starts_with('0') ? number<std::int64_t>(text, 8) : decimal(text);
}

/// The options of one section as mwan3's shell functions return them.
class Mwan3Section {
 public:
  Mwan3Section(const config::Section& section, config::Problems& notes) : section_(section), notes_(notes) {}

  std::string name() const { return section_.name.value_or(""); }
  unsigned line() const { return section_.line; }

  /// config_get: a list is one text with blanks between its entries.
  std::string get(std::string_view name, std::string otherwise = {}) const {
    const config::Option* option = section_.find(name);
    if (option == nullptr) return otherwise;
    std::string text;
    for (const config::Value& value : option->values) text += (text.empty() ? "" : " ") + value.text;
    if (option->list)
      notes_.add(option->line, std::string{name},
                 "is a list, but mwan3 expects a single value" + where() + ": it joins all entries");
    return text;
  }

  /// As test(1) compares it: decimal, perhaps with a sign.
  std::optional<std::int64_t> getMetric() const {
    return getNumber("metric", [](std::string_view text) -> std::optional<std::int64_t> { return decimal(text); });
  }
  /// As the shell adds it up: decimal, 0x or octal; a word counts as 0.
  std::int64_t getWeight() const { return getNumber("weight", shellNumber).value_or(0); }

  bool isSet(std::string_view name) const {
    const config::Option* option = section_.find(name);
    return option != nullptr && !option->list && config::parseBoolean(option->values.front()).value_or(false);
  }
  bool isUnset(std::string_view name) const {
    const config::Option* option = section_.find(name);
    return option != nullptr && !option->list && !config::parseBoolean(option->values.front()).value_or(true);
  }

  /// config_list_foreach: it ignores an option that is not a list.
  std::vector<std::string> getList(std::string_view name) const {
    std::vector<std::string> entries;
    const config::Option* option = section_.find(name);
    if (option == nullptr) return entries;
    if (!option->list) {
      notes_.add(option->line, std::string{name},
                 "is a single value, but mwan3 expects a list" + where() + ": it sees nothing; write list " +
                     std::string{name});
      return entries;
    }
    for (const config::Value& value : option->values) entries.push_back(value.text);
    return entries;
  }

 private:
  template <class Parse>
  std::optional<std::int64_t> getNumber(std::string_view name, const Parse& parse) const {
    const config::Option* option = section_.find(name);
    if (option == nullptr) return 1;
    const std::string text = get(name);
    const auto value = parse(trimmed(text));
    if (!value) notes_.add(option->line, std::string{name}, config::inQuotes(text) + " is not a number" + where());
    return value;
  }

  std::string where() const {
    return section_.name ? " (" + section_.type + " " + config::inQuotes(*section_.name) + ")" : "";
  }

  const config::Section& section_;
  config::Problems& notes_;
};

Mwan3Interface interfaceOf(const config::Section& section, config::Problems& notes) {
  const Mwan3Section from{section, notes};
  Mwan3Interface interface{.name = from.name(),
                           .enabled = from.isSet("enabled"),
                           .ipv6 = from.get("family") == "ipv6",
                           .line = from.line(),
                           .options = section.options};
  // What mwan3 does not see does not exist.
  if (const config::Option* addresses = section.find("track_ip"); addresses != nullptr && !addresses->list) {
    from.getList("track_ip");
    std::erase_if(interface.options, [](const config::Option& option) { return option.name == "track_ip"; });
  }
  return interface;
}

Mwan3Member memberOf(const config::Section& section, config::Problems& notes) {
  const Mwan3Section from{section, notes};
  return {.name = from.name(),
          .interface = from.get("interface"),
          .metric = from.getMetric(),
          .weight = from.getWeight(),
          .line = from.line()};
}

Mwan3Policy policyOf(const config::Section& section, config::Problems& notes) {
  const Mwan3Section from{section, notes};
  return {.name = from.name(),
          .members = from.getList("use_member"),
          .lastResort = from.get("last_resort", "unreachable"),
          .line = from.line()};
}

Mwan3Rule ruleOf(const config::Section& section, config::Problems& notes) {
  const Mwan3Section from{section, notes};
  return {.name = from.name(),
          .policy = from.get("use_policy"),
          .family = from.get("family", "any"),
          .proto = from.get("proto", "all"),
          .srcIp = from.get("src_ip"),
          .destIp = from.get("dest_ip"),
          .srcPort = from.get("src_port"),
          .destPort = from.get("dest_port"),
          .srcIface = from.get("src_iface"),
          .ipset = from.get("ipset"),
          .sticky = from.get("sticky", "0"),
          .disabled = from.isUnset("enabled"),
          .line = from.line()};
}

std::uint32_t maskOf(const config::Section& section, std::uint32_t otherwise) {
  const config::Value* value = section.single("mmx_mask");
  if (value == nullptr) return otherwise;
  const std::string_view text = value->text;
  const bool hexadecimal = text.starts_with("0x") || text.starts_with("0X");
  return (hexadecimal ? number<std::uint32_t>(text.substr(2), 16) : number<std::uint32_t>(text)).value_or(otherwise);
}

template <class T>
const T* named(const std::vector<T>& list, std::string_view name) {
  const auto found = std::ranges::find(list, name, &T::name);
  return found == list.end() ? nullptr : &*found;
}

}  // namespace

const Mwan3Interface* Mwan3::interface(std::string_view name) const { return named(interfaces, name); }
const Mwan3Member* Mwan3::member(std::string_view name) const { return named(members, name); }
const Mwan3Policy* Mwan3::policy(std::string_view name) const { return named(policies, name); }
bool Mwan3::knowsPolicy(std::string_view name) const {
  return name == "default" || name == "unreachable" || name == "blackhole" || policy(name) != nullptr;
}

Mwan3 readMwan3(std::string_view text, config::Problems& notes) {
  Mwan3 mwan3;
  for (const config::Section& section : config::readUci(text, notes)) {
    if (section.type == "globals") mwan3.mask = maskOf(section, mwan3.mask);
    if (section.type == "interface") mwan3.interfaces.push_back(interfaceOf(section, notes));
    if (section.type == "member") mwan3.members.push_back(memberOf(section, notes));
    if (section.type == "policy") mwan3.policies.push_back(policyOf(section, notes));
    if (section.type == "rule") mwan3.rules.push_back(ruleOf(section, notes));
  }
  return mwan3;
}

}  // namespace wgsteer::foreign
