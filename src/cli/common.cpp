// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/common.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <sys/ioctl.h>
#include <system_error>
#include <unistd.h>

#include "config/load.hpp"
#include "config/uci_path.hpp"
#include "control/control_client.hpp"
#include "daemon/status.hpp"
#include "daemon/status_rules.hpp"
#include "daemon/wan_overrides.hpp"
#include "foreign/complete.hpp"
#include "kernel/linux_kernel.hpp"
#include "log/printable.hpp"
#include "os/read_file.hpp"
#include "os/timer.hpp"

namespace wgsteer::cli {

namespace {

Result<ConfigText> readConfig(const std::string& named) {
  const std::string file = named.empty() ? config::firstThere(config::filesFor(kDefaultConfigFile)) : named;
  std::error_code ignored;
  // Whatever exists there is meant to be the configuration, even if it cannot be read.
  if (named.empty() && !std::filesystem::exists(std::filesystem::symlink_status(file, ignored)))
    return ConfigText{.file = file, .text = {}};
  auto text = os::readFile(file);
  if (!text) return std::unexpected(text.error());
  return ConfigText{.file = file, .text = std::move(*text)};
}

Result<Config> makeConfig(const ConfigText& from) {
  auto config = config::loadText(from.text, from.file);
  if (!config) return config;
  if (const auto completed = foreign::complete(*config); !completed) return std::unexpected(completed.error());
  return config;
}

}  // namespace

ConfigSource configSource(const Options& options) {
  const std::string& named = options.configFile;
  return {.file = named.empty() ? kDefaultConfigFile : named,
          .read = [named] { return readConfig(named); },
          .make =
              [verbose = options.verbose](const ConfigText& text) {
                auto config = makeConfig(text);
                if (config && verbose) config->logLevel = LogLevel::debug;
                return config;
              }};
}

Result<Config> configOf(const Options& options) {
  auto loaded = loadConfig(configSource(options));
  if (!loaded) return std::unexpected(loaded.error());
  return std::move(loaded->config);
}

Result<std::unique_ptr<Kernel>> openKernel() {
  auto opened = kernel::LinuxKernel::open();
  if (!opened) return std::unexpected(opened.error());
  return std::unique_ptr<Kernel>{std::move(*opened)};
}

Result<Host> lookAtHost(const Options& options, const ObserveOptions& observe) {
  auto config = configOf(options);
  if (!config) return std::unexpected(config.error());
  return lookAtHost(std::move(*config), observe);
}

Result<Host> lookAtHost(Config config, const ObserveOptions& observe) {
  auto kernel = openKernel();
  if (!kernel) return std::unexpected(kernel.error());
  auto picture = (*kernel)->observe(config.numbers, observe);
  if (!picture) return std::unexpected(picture.error());
  // What a daemon would use if it were running.
  WanOverrides byHand;
  if (const auto loaded = byHand.load(); loaded) picture->world.wansDown = byHand.down();
  return Host{std::move(*kernel), std::move(config), std::move(*picture)};
}

/// Netlink's answer to a process that may not change the network, or not even read it. What a daemon refuses has no
/// errno.
bool lacksRight(const Error& error) { return error.kind == ErrorKind::refused && error.code == EPERM; }

int report(std::string_view verb, const Error& error) {
  std::fprintf(stderr, "wgsteer %.*s: %s\n", static_cast<int>(verb.size()), verb.data(),
               log::printableLines(error.toString()).c_str());
  if (lacksRight(error))
    std::fprintf(
        stderr, "it needs CAP_NET_ADMIN: %s\n",
        geteuid() != 0 ? "run it as root" : "root lacks it here; grant it to the container (--cap-add=NET_ADMIN)");
  return kError;
}

namespace {

void print(const nlohmann::json& document, int indent) {
  // Device names may contain any bytes: invalid ones are replaced rather than refused.
  std::printf("%s\n", document.dump(indent, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

}  // namespace

void print(const nlohmann::json& document) { print(document, 2); }
void printLine(const nlohmann::json& document) { print(document, -1); }

void printText(std::string_view text) { std::fputs(log::printableLines(text).c_str(), stdout); }

std::size_t outputWidth() {
  constexpr std::size_t kUntold = 80;  // a serial console
  if (isatty(STDOUT_FILENO) == 0) return 0;
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : kUntold;
}

bool colourWanted() { return isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr; }

Result<nlohmann::json> currentStatus(const Options& options) {
  auto reply = askDaemon("status");
  if (reply) return (*reply)["status"];
  if (reply.error().kind != ErrorKind::notThere) return std::unexpected(reply.error());
  const auto host = lookAtHost(options);
  if (!host) return std::unexpected(host.error());
  const Counters counters = host->config.rules.empty() ? Counters{} : host->kernel->counters().value_or(Counters{});
  return statusDocument(host->config, host->picture, std::nullopt, counters.rules, os::wallClock());
}

void countConnections(nlohmann::json& document) {
  const std::uint32_t mask = exitMask(document);
  if (mask == 0) return;
  const auto kernel = openKernel();
  if (!kernel) return;
  if (const auto counts = (*kernel)->connectionsByMark(mask)) addConnections(*counts, document);
}

}  // namespace wgsteer::cli
