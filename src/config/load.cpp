// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/load.hpp"

#include "config/sections.hpp"
#include "config/text.hpp"
#include "config/uci.hpp"
#include "config/uci_path.hpp"
#include "config/validate.hpp"
#include "os/read_file.hpp"
#ifdef WGSTEER_TOML
#include "config/toml.hpp"
#endif

namespace wgsteer::config {

namespace {

enum class Format : std::uint8_t { toml, uci };

Format formatOf(std::string_view text, std::string_view fileName) {
  if (fileName.ends_with(".toml")) return Format::toml;
  if (filesFor(fileName).size() > 1 || fileName.starts_with("/var/run/uci/") || looksLikeUci(text)) return Format::uci;
#ifdef WGSTEER_TOML
  return Format::toml;
#else
  return Format::uci;
#endif
}

Sections read(std::string_view text, Format format, Problems& problems) {
  if (format == Format::uci) {
    Sections sections = readUci(text, problems);
    // Strict: never run with a partially parsed file.
    if (!problems.empty()) sections.clear();
    return sections;
  }
#ifdef WGSTEER_TOML
  return readToml(text, problems);
#else
  problems.add(0, {}, "this build reads UCI, like /etc/config/wgsteer, not TOML (WGSTEER_TOML=OFF)");
  return {};
#endif
}

}  // namespace

Result<Config> loadText(std::string_view text, const std::string& fileName) {
  Problems problems;
  Config config;
  if (text.size() > os::kMaxFileSize) return os::tooLarge(fileName);
  if (const auto bad = badText(text)) {
    problems.add(bad->line, {}, bad->what);
  } else {
    const Sections sections = read(text, formatOf(text, fileName), problems);
    config = validate(sections, problems);
  }
  if (!problems.empty()) return fail(ErrorKind::config, problems.toString(fileName));
  return config;
}

Result<Config> loadFile(const std::string& path) {
  const auto text = os::readFile(path);
  if (!text) return std::unexpected(text.error());
  return loadText(*text, path);
}

}  // namespace wgsteer::config
