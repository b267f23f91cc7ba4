// SPDX-License-Identifier: GPL-2.0-or-later
// What every configuration format is reduced to before validation: sections with options, each with its line number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace wgsteer::config {

enum class ValueType : std::uint8_t {
  untyped,  ///< formats without types (UCI): whatever can be read from the text
  text,
  integer,
  number,
  boolean,
  other,  ///< a type that no option may have; `text` names it
};

struct Value {
  ValueType type = ValueType::untyped;
  std::string text;
  unsigned line = 0;
};

struct Option {
  std::string name;
  std::vector<Value> values;  ///< exactly one unless `list`
  bool list = false;
  unsigned line = 0;
};

struct Section {
  std::string type;
  std::optional<std::string> name;  ///< of the section itself (UCI: config wan 'fiber')
  unsigned line = 0;
  std::vector<Option> options;

  const Option* find(std::string_view wanted) const {
    for (const Option& option : options)
      if (option.name == wanted) return &option;
    return nullptr;
  }
  /// The value of an option that is not a list.
  const Value* single(std::string_view wanted) const {
    const Option* option = find(wanted);
    return option == nullptr || option->list ? nullptr : &option->values.front();
  }
  /// The line of an option, or the section's if the option is missing.
  unsigned lineOf(std::string_view wanted) const {
    const Option* option = find(wanted);
    return option == nullptr ? line : option->line;
  }
};

using Sections = std::vector<Section>;

/// One thing that is wrong, and where.
struct Problem {
  unsigned line = 0;  ///< 0: the file as a whole
  std::string option;
  std::string what;
};

class Problems {
 public:
  void add(unsigned line, std::string option, std::string what) {
    list_.push_back({line, std::move(option), std::move(what)});
  }
  void append(const Problems& others) { list_.insert(list_.end(), others.list_.begin(), others.list_.end()); }
  bool empty() const { return list_.empty(); }
  std::size_t size() const { return list_.size(); }
  bool has(unsigned line, std::string_view option) const;
  /// All of them by line, each "FILE:LINE: OPTION: what".
  std::string toString(const std::string& fileName) const;

 private:
  std::vector<Problem> list_;
};

}  // namespace wgsteer::config
