// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/load.hpp"

#include "config/file.hpp"
#include "config/sections.hpp"
#include "config/text.hpp"
#include "config/validate.hpp"
#ifdef WGSTEER_TOML
#include "config/toml.hpp"
#endif

namespace wgsteer::config {

namespace {

Sections read(std::string_view text, Problems& problems) {
#ifdef WGSTEER_TOML
  return readToml(text, problems);
#else
  if (text.find_first_not_of(" \t\r\n") != std::string_view::npos)
    problems.add(0, {}, "this build reads no TOML (WGSTEER_TOML=OFF)");
  return {};
#endif
}

}  // namespace

Result<Config> loadText(std::string_view text, const std::string& fileName) {
  Problems problems;
  Config config;
  if (text.size() > kMaxFileSize) return tooLarge(fileName);
  if (const auto bad = badText(text)) {
    problems.add(bad->line, {}, bad->what);
  } else {
    const Sections sections = read(text, problems);
    config = validate(sections, problems);
  }
  if (!problems.empty()) return fail(ErrorKind::config, problems.toString(fileName));
  return config;
}

Result<Config> loadFile(const std::string& path) {
  const auto text = readFile(path);
  if (!text) return std::unexpected(text.error());
  return loadText(*text, path);
}

}  // namespace wgsteer::config
