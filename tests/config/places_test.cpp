// SPDX-License-Identifier: GPL-2.0-or-later
// Every option of the schema is in every place that documents options. A failure names the place that lacks it.
#include <algorithm>
#include <cctype>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "config/schema.hpp"

namespace wgsteer::config {
namespace {

constexpr const char* kLuci = "openwrt/luci-app-wgsteer/htdocs/luci-static/resources/view/wgsteer/config.js";
constexpr const char* kTemplate = "openwrt/luci-app-wgsteer/po/templates/wgsteer.pot";

std::string textOf(const std::string& file) {
  std::ifstream in{std::string{WGSTEER_SOURCE} + "/" + file};
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

/// All lines from each one that begins with `start`, ignoring a leading "#", up to the next one that begins with
/// `next`.
std::string blocks(const std::string& text, const std::string& start, const std::string& next) {
  std::istringstream lines{text};
  std::string found;
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    const std::string bare = line.starts_with('#') ? line.substr(1) : line;
    if (bare.starts_with(next)) inside = bare.starts_with(start);
    if (inside) found += line + "\n";
  }
  return found;
}

bool hasWord(std::string_view text, std::string_view word) {
  const auto isPart = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; };
  for (auto at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) {
    const auto end = at + word.size();
    if ((at == 0 || !isPart(text[at - 1])) && (end == text.size() || !isPart(text[end]))) return true;
  }
  return false;
}

/// "[[wan]]", "[globals]".
std::string header(const SectionSchema& section) {
  const std::string type{section.type};
  return section.once ? "[" + type + "]" : "[[" + type + "]]";
}

/// "use_wan" becomes "useWan".
std::string camelBack(std::string_view name) {
  std::string made;
  for (std::size_t i = 0; i < name.size(); ++i)
    made += name[i] == '_' ? static_cast<char>(std::toupper(static_cast<unsigned char>(name[++i]))) : name[i];
  return made;
}

template <class Check>
void forEveryOption(const Check& check) {
  for (const SectionSchema& section : allSections())
    for (const OptionSchema& option : section.options) check(section, option, std::string{option.name});
}

TEST(Places, TheManPageDescribesEveryOption) {
  const std::string page = textOf("docs/wgsteer.toml.5");
  forEveryOption([&](const SectionSchema& section, const OptionSchema&, const std::string& name) {
    std::istringstream lines{blocks(page, ".SH " + header(section), ".SH ")};
    bool described = false;
    for (std::string line; std::getline(lines, line);) described |= line.starts_with(".B") && hasWord(line, name);
    EXPECT_TRUE(described) << "docs/wgsteer.toml.5 lacks " << name << " below " << header(section);
  });
}

TEST(Places, TheExampleShowsEveryOption) {
  const std::string example = textOf("src/config/wgsteer.toml.example");
  forEveryOption([&](const SectionSchema& section, const OptionSchema&, const std::string& name) {
    if (section.type == "wan" && name == "interface") return;  // OpenWrt's
    EXPECT_TRUE(hasWord(blocks(example, header(section), "["), name + " ="))
        << "src/config/wgsteer.toml.example lacks " << name << " below " << header(section);
  });
}

TEST(Places, OpenWrtsFileShowsEveryOption) {
  const std::string file = textOf("openwrt/wgsteer/files/wgsteer.config");
  forEveryOption([&](const SectionSchema& section, const OptionSchema&, const std::string& name) {
    const std::string type = "config " + std::string{section.type};
    const std::string block = blocks(file, type, "config ");
    const bool shown = hasWord(block, "option " + name) || hasWord(block, "list " + name) ||
                       (name == section.nameOption && block.find(type + " '") != std::string::npos);
    EXPECT_TRUE(shown) << "openwrt/wgsteer/files/wgsteer.config lacks " << name << " in " << type;
  });
}

/// The statement of LuCI's form that makes the option's field; empty if there is none.
std::string fieldOf(const std::string& form, const SectionSchema& section, const std::string& name) {
  const std::string function = blocks(form, "function " + std::string{section.type} + "Section", "function ");
  auto at = function.find("'" + name + "', _(");
  if (at == std::string::npos) at = function.find("'" + name + "', null, ");
  if (at != std::string::npos) return function.substr(at, function.find(";\n", at) - at);
  // Several sections have the field, so that a function makes it.
  if (function.find(camelBack(name) + "(s") == std::string::npos) return {};
  return blocks(form, "function " + camelBack(name) + "(", "function ");
}

/// Rules have an order and many conditions: they need a page of their own, which does not exist yet.
bool isInLuci(const SectionSchema& section) { return section.type != "rule"; }

TEST(Places, LucisFormHasEveryOption) {
  const std::string form = textOf(kLuci);
  forEveryOption([&](const SectionSchema& section, const OptionSchema&, const std::string& name) {
    if (!isInLuci(section)) return;
    EXPECT_FALSE(fieldOf(form, section, name).empty()) << kLuci << " lacks " << name << " in " << section.type;
  });
}

TEST(Places, LucisTranslationTemplateHasTheTextsOfEveryOption) {
  const std::string form = textOf(kLuci);
  const std::string known = textOf(kTemplate);
  forEveryOption([&](const SectionSchema& section, const OptionSchema&, const std::string& name) {
    const std::string field = fieldOf(form, section, name);
    for (auto at = field.find("_('"); at != std::string::npos; at = field.find("_('", at + 1)) {
      std::string text;
      for (std::size_t i = at + 3; i < field.size() && field[i] != '\''; ++i) {
        if (field[i] == '\\') ++i;
        text += field[i] == '"' ? std::string{"\\\""} : std::string{field[i]};
      }
      EXPECT_NE(known.find("msgid \"" + text + "\"\n"), std::string::npos)
          << kTemplate << " lacks a text of " << name << " in " << section.type << ": " << text;
    }
  });
}

}  // namespace
}  // namespace wgsteer::config
