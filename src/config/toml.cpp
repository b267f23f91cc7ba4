// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/toml.hpp"

#include <algorithm>
#include <array>
#include <charconv>

// Depth of arrays and inline tables; we need one. With the limit on lines this bounds toml++'s recursion, see text.cpp.
#define TOML_MAX_NESTED_VALUES 4
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include "config/schema.hpp"
#include "config/text.hpp"

namespace wgsteer::config {

namespace {

unsigned lineOf(const toml::node& node) { return node.source().begin.line; }
unsigned lineOf(const toml::key& key) { return key.source().begin.line; }

std::string numberText(double number) {
  std::array<char, 64> digits{};
  return {digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr};
}

Value toValue(const toml::node& node) {
  const unsigned line = lineOf(node);
  if (const auto* text = node.as_string()) return {ValueType::text, text->get(), line};
  if (const auto* integer = node.as_integer()) return {ValueType::integer, std::to_string(integer->get()), line};
  if (const auto* number = node.as_floating_point()) return {ValueType::number, numberText(number->get()), line};
  if (const auto* boolean = node.as_boolean()) return {ValueType::boolean, boolean->get() ? "true" : "false", line};
  if (node.is_table()) return {ValueType::other, "a table", line};
  if (node.is_array()) return {ValueType::other, "a list", line};
  return {ValueType::other, "a date or time", line};
}

Option toOption(const toml::key& key, const toml::node& node) {
  Option option{.name = std::string{key.str()}, .values = {}, .list = node.is_array(), .line = lineOf(key)};
  if (const auto* list = node.as_array()) {
    for (const toml::node& element : *list) option.values.push_back(toValue(element));
  } else {
    option.values.push_back(toValue(node));
  }
  return option;
}

Section toSection(std::string_view type, const toml::table& table, unsigned line) {
  Section section{.type = std::string{type}, .name = {}, .line = line, .options = {}};
  for (const auto& [key, node] : table) section.options.push_back(toOption(key, node));
  // toml++ sorts by name.
  std::ranges::stable_sort(section.options, {}, &Option::line);
  return section;
}

/// A section written with the wrong brackets, or something that is none.
void complain(const toml::key& key, const toml::node& node, Problems& problems) {
  const std::string name{key.str()};
  const SectionSchema* schema = findSection(name);
  if (schema != nullptr) {
    const std::string brackets = schema->once ? "[" + name + "]" : "[[" + name + "]]";
    return problems.add(lineOf(key), name, "is written " + brackets + ", with its options in the lines below");
  }
  const auto* list = node.as_array();
  if (node.is_table() || (list != nullptr && list->is_array_of_tables()))
    return problems.add(lineOf(key), quoted(name), unknownSection(name));
  for (const SectionSchema& section : allSections())
    if (section.find(name) != nullptr)
      return problems.add(
          lineOf(key), name,
          "stands before any section, goes below " +
              (section.once ? "[" + std::string{section.type} + "]" : "[[" + std::string{section.type} + "]]"));
  problems.add(lineOf(key), quoted(name), "unknown option, and it stands before any section");
}

void readEntry(const toml::key& key, const toml::node& node, Sections& sections, Problems& problems) {
  const SectionSchema* schema = findSection(key.str());
  const auto* table = node.as_table();
  if (schema != nullptr && schema->once && table != nullptr) {
    sections.push_back(toSection(key.str(), *table, lineOf(*table)));
    return;
  }
  const auto* list = node.as_array();
  const bool tables = list != nullptr && !list->empty() && list->is_array_of_tables();
  if (schema == nullptr || schema->once || !tables) return complain(key, node, problems);
  for (const toml::node& element : *list)
    if (const auto* each = element.as_table()) sections.push_back(toSection(key.str(), *each, lineOf(element)));
}

}  // namespace

Sections readToml(std::string_view text, Problems& problems) {
  const toml::parse_result parsed = toml::parse(text);
  if (!parsed) {
    const toml::parse_error& error = parsed.error();
    problems.add(error.source().begin.line, {}, "is not TOML: " + std::string{error.description()});
    return {};
  }
  Sections sections;
  for (const auto& [key, node] : parsed.table()) readEntry(key, node, sections, problems);
  std::ranges::stable_sort(sections, {}, &Section::line);
  return sections;
}

}  // namespace wgsteer::config
