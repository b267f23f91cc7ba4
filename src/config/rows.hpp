// SPDX-License-Identifier: GPL-2.0-or-later
// A row of the schema binds an option to the member that it fills, so that checking a value and reading it are a single
// step.
#pragma once

#include <array>
#include <functional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "config/schema.hpp"
#include "config/sections.hpp"
#include "config/values.hpp"

namespace wgsteer::config {

/// `Kind` is one of kinds.hpp, `Member` a pointer to member, or a function from the section's struct to the member. A
/// member that is a vector makes the option a list.
template <class Kind, class Member>
struct Row {
  std::string_view name;
  Kind kind;
  Member member;
  Traits traits{};
};

/// A wrong value leaves the member unchanged.
template <class To, class From>
void store(To& member, Parsed<From>&& read) {
  if (read) member = static_cast<To>(std::move(*read));
}
/// One element for each value, even a wrong one, so that a message about an element refers to the line of its value.
template <class To, class From>
void store(std::vector<To>& members, Parsed<From>&& read) {
  members.push_back(read ? static_cast<To>(std::move(*read)) : To{});
}

template <class T>
constexpr bool kIsList = false;
template <class T>
constexpr bool kIsList<std::vector<T>> = true;

template <class Kind, class Member, class Filled>
void readOption(const Row<Kind, Member>& row, const Option& option, Filled& filled, Problems& problems) {
  auto& member = std::invoke(row.member, filled);
  if (option.list && !kIsList<std::remove_reference_t<decltype(member)>>)
    return problems.add(option.line, option.name, "is a list, must be a single value");
  if (option.values.empty()) problems.add(option.line, option.name, "is an empty list, must have at least one entry");
  for (const Value& value : option.values) {
    auto read = row.kind.read(value);
    if (!read) problems.add(value.line, option.name, read.error());
    store(member, std::move(read));
  }
}

/// Reads all options of a section for which there are rows.
template <class... Rows, class Filled>
void readRows(const std::tuple<Rows...>& rows, const Section& section, Filled& filled, Problems& problems) {
  const auto read = [&](const auto& row) {
    if (const Option* option = section.find(row.name)) readOption(row, *option, filled, problems);
  };
  std::apply([&](const Rows&... row) { (read(row), ...); }, rows);
}

/// The rows without their members, for callers that only need to know which options exist.
template <class... Rows>
constexpr auto optionsOf(const std::tuple<Rows...>& rows) {
  return std::apply(
      [](const Rows&... row) { return std::array{OptionSchema{row.name, row.kind.kType, row.traits}...}; }, rows);
}

}  // namespace wgsteer::config
