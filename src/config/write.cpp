// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/write.hpp"

#include <array>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <optional>

#include "config/schema.hpp"
#include "config/values.hpp"

namespace wgsteer::config {

namespace {

std::string uciQuoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string{"'\\''"} : std::string{c};
  return quoted + "'";
}

std::string tomlQuoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f)
      quoted += std::string{"\\u00"} + kHexDigits[byte >> 4U] + kHexDigits[byte & 15U];
    else if (c == '"' || c == '\\')
      quoted += std::string{'\\'} + c;
    else
      quoted += c;
  }
  return quoted + "\"";
}

/// A number in TOML's form: in UCI it may begin with zeros or a point. nullopt if it is not a number.
std::optional<std::string> tomlNumber(ValueType type, const std::string& text) {
  const Value value{ValueType::untyped, text, 0};
  if (type == ValueType::integer) {
    using Limits = std::numeric_limits<std::int64_t>;
    const auto integer = parseInteger(value, Limits::min(), Limits::max());
    return integer ? std::optional{std::to_string(*integer)} : std::nullopt;
  }
  if (type != ValueType::number) return std::nullopt;
  const auto seconds = parseSeconds(value, 0, std::numeric_limits<std::uint32_t>::max());
  if (!seconds) return std::nullopt;
  std::array<char, 32> buffer{};
  std::snprintf(buffer.data(), buffer.size(), "%.15g", std::chrono::duration<double>{*seconds}.count());
  return buffer.data();
}

std::string tomlValue(const SectionSchema* schema, const Option& option, const std::string& text) {
  const OptionSchema* known = schema == nullptr ? nullptr : schema->find(option.name);
  if (known == nullptr) return tomlQuoted(text);
  if (known->type == ValueType::boolean)
    return parseBoolean({ValueType::untyped, text, 0}).value_or(false) ? "true" : "false";
  return tomlNumber(known->type, text).value_or(tomlQuoted(text));
}

}  // namespace

std::string toUci(const Sections& sections) {
  std::string text;
  for (const Section& section : sections) {
    text += (text.empty() ? "config " : "\nconfig ") + section.type;
    if (section.name) text += " " + uciQuoted(*section.name);
    text += '\n';
    for (const Option& option : section.options)
      for (const Value& value : option.values)
        text += (option.list ? "\tlist " : "\toption ") + option.name + " " + uciQuoted(value.text) + "\n";
  }
  return text;
}

std::string toToml(const Sections& sections) {
  std::string text;
  for (const Section& section : sections) {
    const SectionSchema* schema = findSection(section.type);
    const bool once = schema != nullptr && schema->once;
    text += (text.empty() ? "" : "\n") + std::string{once ? "[" : "[["} + section.type + (once ? "]\n" : "]]\n");
    if (section.name && schema != nullptr && !schema->nameOption.empty() && section.find(schema->nameOption) == nullptr)
      text += std::string{schema->nameOption} + " = " + tomlQuoted(*section.name) + "\n";
    for (const Option& option : section.options) {
      std::string value;
      for (const Value& each : option.values)
        value += (value.empty() ? "" : ", ") + tomlValue(schema, option, each.text);
      text += option.name + " = " + (option.list ? "[" + value + "]" : value) + "\n";
    }
  }
  return text;
}

}  // namespace wgsteer::config
