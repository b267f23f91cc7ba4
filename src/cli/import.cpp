// SPDX-License-Identifier: GPL-2.0-or-later
#include <cstdio>

#include "cli/common.hpp"
#include "cli/verbs.hpp"
#include "config/write.hpp"
#include "foreign/import_mwan3.hpp"
#include "os/read_file.hpp"

namespace wgsteer::cli {

namespace {

/// Without it there are no tunnels to steer, but there are still WANs.
Result<foreign::Network> networkOf(const Options& options, const std::string& file) {
  const bool named = !options.networkFile.empty();
  auto network = foreign::loadNetwork(file);
  if (!network && !named && network.error().kind == ErrorKind::notThere) return foreign::Network{};
  return network;
}

void say(const config::Problems& notes, const std::string& file) {
  if (!notes.empty()) std::fprintf(stderr, "%s\n", notes.toString(file).c_str());
}

int usage(const std::string& why) {
  std::fprintf(stderr, "wgsteer import: %s\nTry: wgsteer import --help\n", why.c_str());
  return kUsage;
}

}  // namespace

int import(const Options& options) {
  if (options.arguments.front() != "mwan3")
    return usage(options.arguments.front() + ": unknown format; supported: mwan3");
  if (!options.to.empty() && options.to != "toml" && options.to != "uci")
    return usage(options.to + ": unknown format; supported: toml, uci");
#ifdef WGSTEER_TOML
  const bool toUci = options.to == "uci";
#else
  const bool toUci = options.to != "toml";
#endif
  const std::string file = options.arguments.size() > 1 ? options.arguments[1] : foreign::mwan3File();
  const auto text = os::readFile(file);
  if (!text) return report("import", text.error());
  const std::string networkFile = options.networkFile.empty() ? foreign::networkFile() : options.networkFile;
  const auto network = networkOf(options, networkFile);
  if (!network) return report("import", network.error());

  config::Problems notes;
  const foreign::Mwan3 mwan3 = foreign::readMwan3(*text, notes);
  const auto by = toUci ? foreign::WanBy::interface : foreign::WanBy::device;
  const foreign::Import import = foreign::importMwan3(mwan3, *network, by, std::move(notes));
  say(import.notes, file);
  say(import.networkNotes, networkFile);
  std::printf("# Made from %s by wgsteer import mwan3. %zu of its %zu rules concern WireGuard's own packets.\n\n",
              file.c_str(), import.pinned, mwan3.rules.size());
  std::fputs((toUci ? config::toUci(import.sections) : config::toToml(import.sections)).c_str(), stdout);
  return kOk;
}

}  // namespace wgsteer::cli
