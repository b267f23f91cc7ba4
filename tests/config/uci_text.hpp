// SPDX-License-Identifier: GPL-2.0-or-later
// Writes sections as UCI text, and as one short line.
#pragma once

#include <random>
#include <string>

#include "config/sections.hpp"

namespace wgsteer::config {

/// "wan 'fiber' {a=b; c=[d|e]}", without line numbers.
inline std::string shortly(const Sections& sections) {
  std::string text;
  for (const Section& section : sections) {
    text += (text.empty() ? "" : " ") + section.type + (section.name ? " '" + *section.name + "'" : "") + "{";
    for (const Option& option : section.options) {
      text += option.name + "=" + (option.list ? "[" : "");
      for (std::size_t i = 0; i < option.values.size(); ++i) text += (i > 0 ? "|" : "") + option.values[i].text;
      text += option.list ? "];" : ";";
    }
    text += "}";
  }
  return text;
}

/// Writes sections in any of the forms that UCI allows.
class UciPrinter {
 public:
  explicit UciPrinter(std::mt19937& random) : random_(random) {}

  std::string print(const Sections& sections) {
    std::string text = chance(4) ? "package any-thing\n" : "";
    for (const Section& section : sections) {
      text += line((chance(4) ? "c " : "config ") + word(section.type) +
                   (section.name ? " " + word(*section.name) : " ''"));
      for (const Option& option : section.options)
        for (const Value& value : option.values) {
          const std::string command = option.list ? (chance(4) ? "l" : "list") : (chance(4) ? "o" : "option");
          text += line(command + " " + word(option.name) + " " + word(value.text));
        }
    }
    return text;
  }

 private:
  bool chance(unsigned of) { return random_() % of == 0; }

  std::string line(const std::string& command) {
    std::string text = chance(5) ? "# a 'comment\" \\\n\n" : "";
    // After a ';' only blanks and tabs count as blanks.
    text += chance(2) ? "\t" : chance(3) && !joined_ ? " \v " : "";
    joined_ = false;
    text += command;
    if (chance(6)) text += " # more";
    // After a blank or quotation marks, another command may follow on the line.
    else if (chance(6)) {
      joined_ = true;
      return text + " ;";
    }
    return text + (chance(5) ? "\r\n" : "\n");
  }

  /// In pieces, each quoted or not.
  std::string word(const std::string& value) {
    std::string text;
    for (std::size_t at = 0; at < value.size();) {
      const std::size_t length = 1 + random_() % value.size();
      text += piece(value.substr(at, length));
      at += length;
    }
    return text.empty() ? "''" : text;
  }

  std::string piece(const std::string& value) {
    if (value.find('\'') == std::string::npos && chance(2)) return "'" + value + "'";
    const bool marks = chance(2);
    std::string text = marks ? "\"" : "";
    for (const char c : value) {
      const bool special = c == '"' || c == '\\' || (!marks && (c == '\'' || c == '#' || c == ';' || c <= ' '));
      // A backslash cannot preserve a line break.
      if (c == '\n' && !marks)
        text += "'\n'";
      else if (special && !marks && (c == ' ' || (c >= '\t' && c <= '\r')))
        text += std::string{"\""} + c + "\"";
      else
        text += special || chance(8) ? std::string{c == '\n' ? "" : "\\"} + c : std::string{c};
      if (chance(20)) text += "\\\n";
    }
    return text + (marks ? "\"" : "");
  }

  std::mt19937& random_;
  bool joined_ = false;
};

}  // namespace wgsteer::config
