// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/wan_overrides.hpp"

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/state_folder.hpp"
#include "os/read_file.hpp"
#include "os/replace_file.hpp"

namespace wgsteer {

namespace {

using Json = nlohmann::json;

/// To be raised when older daemons cannot read the file any more.
constexpr int kFileVersion = 1;

std::unexpected<Error> failed(const std::string& what) {
  const int code = errno;
  return fail(ErrorKind::io, what + ": " + std::strerror(code), code);
}

std::optional<WanOverrides::ByName> parse(const std::string& text) {
  const Json document = Json::parse(text, nullptr, false);
  if (!document.is_object() || document.value("version", Json{}) != kFileVersion) return std::nullopt;
  const Json wans = document.value("wans", Json{});
  if (!wans.is_object()) return std::nullopt;
  WanOverrides::ByName all;
  for (const auto& [name, wan] : wans.items()) {
    if (!wan.is_object()) return std::nullopt;
    const Json use = wan.value("use", Json{});
    const Json reason = wan.value("reason", Json{});
    if ((use != "up" && use != "down") || !reason.is_string()) return std::nullopt;
    all.emplace(name, WanOverride{.up = use == "up", .reason = reason.get<std::string>()});
  }
  return all;
}

std::string textOf(const WanOverrides::ByName& all) {
  Json wans = Json::object();
  for (const auto& [name, wan] : all) wans[name] = {{"use", wan.up ? "up" : "down"}, {"reason", wan.reason}};
  return Json{{"version", kFileVersion}, {"wans", std::move(wans)}}.dump(2, ' ', false,
                                                                         Json::error_handler_t::replace) +
         "\n";
}

}  // namespace

std::string WanOverrides::defaultFile(const std::string& serviceFolder) { return stateFolder(serviceFolder) + "/wans"; }

Status WanOverrides::load() {
  all_.clear();
  const auto text = os::readFile(file_);
  if (!text && text.error().kind == ErrorKind::notThere) return {};
  if (!text) return std::unexpected(text.error());
  if (text->empty()) return {};
  auto parsed = parse(*text);
  if (!parsed) return fail(ErrorKind::malformed, file_ + ": not written by `wgsteer wan`, ignoring overrides");
  all_ = std::move(*parsed);
  return {};
}

Status WanOverrides::set(const std::string& wan, const std::optional<WanOverride>& decision,
                         const std::function<void()>& act) {
  if (decision)
    all_[wan] = *decision;
  else
    all_.erase(wan);
  act();
  return save();
}

WansDown WanOverrides::down() const {
  WansDown down;
  for (const auto& [name, wan] : all_)
    if (!wan.up) down.emplace(name, wan.toString());
  return down;
}

Status WanOverrides::save() const {
  const std::string folder = os::folderOf(file_);
  if (all_.empty()) {
    if (unlink(file_.c_str()) != 0) return errno == ENOENT ? Status{} : Status{failed(file_)};
    return os::syncFolder(folder);
  }
  if (mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST) return failed(folder);
  return os::replaceFile(file_, textOf(all_));
}

}  // namespace wgsteer
