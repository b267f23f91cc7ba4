// SPDX-License-Identifier: GPL-2.0-or-later
#include "foreign/interfaces.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "config/values.hpp"

namespace wgsteer::foreign {

namespace {

std::string_view takeWord(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(" \t\r"), line.size()));
  const std::string_view word = line.substr(0, line.find_first_of(" \t\r"));
  line.remove_prefix(word.size());
  return word;
}

/// Names of interfaces become devices, each once: wan and wan6 have the same. Others are devices already.
void resolve(std::vector<IfName>& names, const Interfaces& interfaces) {
  std::vector<IfName> devices;
  for (const IfName& name : names) {
    const auto known = interfaces.find(name);
    const IfName& device = known == interfaces.end() ? name : known->second;
    if (std::ranges::find(devices, device) == devices.end()) devices.push_back(device);
  }
  names = std::move(devices);
}

}  // namespace

Interfaces readInterfaces(std::string_view text) {
  Interfaces interfaces;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const std::string_view name = takeWord(line);
    const auto device = config::parseIfName({config::ValueType::text, std::string{takeWord(line)}, 0});
    if (device && takeWord(line).empty()) interfaces.insert_or_assign(std::string{name}, *device);
  }
  return interfaces;
}

void resolve(Config& config, const Interfaces& interfaces) {
  for (WanConfig& wan : config.wans)
    if (!wan.interface.empty()) wan.device.clear();
  for (WanConfig& wan : config.wans) {
    const auto known = interfaces.find(wan.interface);
    if (wan.interface.empty() || known == interfaces.end()) continue;
    const auto isOthers = [&](const WanConfig& other) {
      return other.device == known->second && !canShareDevice(other, wan);
    };
    if (std::ranges::none_of(config.wans, isOthers)) wan.device = known->second;
  }
  for (RuleConfig& rule : config.rules) {
    resolve(rule.inputDevice.any, interfaces);
    resolve(rule.inputDevice.none, interfaces);
  }
}

}  // namespace wgsteer::foreign
