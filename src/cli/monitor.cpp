// SPDX-License-Identifier: GPL-2.0-or-later
#include <array>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "cli/common.hpp"
#include "cli/verbs.hpp"
#include "control/control_client.hpp"

namespace wgsteer::cli {

namespace {

using Json = nlohmann::json;

std::string timeText(std::int64_t milliseconds) {
  // 32 bits wide with glibc on small routers.
  const auto seconds = static_cast<std::time_t>(milliseconds / 1000);
  std::tm local{};
  localtime_r(&seconds, &local);
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%02d:%02d:%02d.%03d ", local.tm_hour, local.tm_min, local.tm_sec,
                static_cast<int>(milliseconds % 1000));
  return text.data();
}

std::string lineOf(const Json& list, const char* otherwise) {
  std::string line;
  for (const Json& item : list) line += (line.empty() ? "" : "; ") + item.get<std::string>();
  return line.empty() ? otherwise : line;
}

std::string occasionText(const Json& occasion) {
  std::string text = lineOf(occasion.at("heard"), occasion.at("trigger").get_ref<const std::string&>().c_str());
  const Json& changes = occasion.at("changes");
  if (changes.empty()) return text + ": nothing to change";
  for (const Json& change : changes) text += "\n    " + change.get<std::string>();
  text += "\n    " + std::to_string(changes.size()) + (changes.size() == 1 ? " change" : " changes") + " in " +
          occasion.at("took_us").dump() + " us";
  if (const auto failed = occasion.at("failed").get<std::size_t>(); failed > 0)
    text += ", " + std::to_string(failed) + " failed";
  return text;
}

std::string textOf(const Json& document) {
  if (document.contains("occasion")) return occasionText(document["occasion"]);
  // Whatever else the journal tells of has a text.
  for (const auto& [kind, told] : document.items())
    if (told.is_object() && told.contains("text")) return told["text"].get<std::string>();
  for (const char* kind : {"fight", "error"})
    if (document.contains(kind)) return std::string{kind} + ": " + document[kind].get<std::string>();
  return document.dump();
}

}  // namespace

int monitor(const Options& options) {
  const auto followed = followDaemon(STDOUT_FILENO, [&](const Json& document) {
    if (options.json)
      printLine(document);
    else
      printText(timeText(document.value("time", std::int64_t{0})) + textOf(document) + "\n");
    return std::fflush(stdout) == 0;
  });
  return followed ? kOk : report("monitor", followed.error());
}

}  // namespace wgsteer::cli
