// SPDX-License-Identifier: GPL-2.0-or-later
#include "nft/table_comment.hpp"

#include <charconv>

#include "nft/traffic_chains.hpp"
#include "nft/traffic_sets.hpp"

namespace wgsteer::nft {

namespace {

constexpr std::string_view kRules = ", rules ";
constexpr std::size_t kDigits = 16;

std::string hexOf(std::uint64_t number) {
  std::string text(kDigits, '0');
  for (std::size_t i = kDigits; i-- > 0; number >>= 4U) text[i] = kHexDigits[number & 0xfU];
  return text;
}

std::optional<std::uint64_t> fromHex(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, 16);
  if (text.size() != kDigits || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

TrafficParts partsOf(const TrafficProgram& program, const std::vector<Chain>& chains) {
  TrafficParts parts;
  for (const Chain& chain : chains) parts.chains.emplace(chain.name, textOf(chain));
  for (const TrafficSet& set : program.sets) {
    auto& elements = parts.sets[canonicalText(set.name, shapeOf(set))];
    for (const TrafficElement& element : elementsOf(set)) elements.insert(canonicalText(element));
  }
  for (std::string& counter : trafficCounters(program)) parts.counters.insert(std::move(counter));
  return parts;
}

}  // namespace

std::uint64_t TrafficParts::checksum() const {
  std::string all;
  for (const auto& [name, rules] : chains) {
    all += name + "\n";
    for (const std::string& rule : rules) all += " " + rule + "\n";
  }
  for (const auto& [set, elements] : sets) {
    all += set + "\n";
    for (const std::string& element : elements) all += " " + element + "\n";
  }
  for (const std::string& counter : counters) all += counter + "\n";
  return fingerprintOf(all);
}

std::optional<TableComment> parseComment(std::string_view text) {
  if (text == kNftTableComment) return TableComment{};
  if (!text.starts_with(kNftTableComment)) return std::nullopt;
  text.remove_prefix(std::string_view{kNftTableComment}.size());
  if (!text.starts_with(kRules)) return std::nullopt;
  text.remove_prefix(kRules.size());
  if (text.size() != 2 * kDigits + 1) return std::nullopt;
  const auto fingerprint = fromHex(text.substr(0, kDigits));
  const auto checksum = fromHex(text.substr(kDigits + 1));
  if (!fingerprint || !checksum) return std::nullopt;
  return TableComment{.fingerprint = *fingerprint, .checksum = *checksum};
}

std::string commentFor(const NftLayout& layout, const std::vector<Chain>& trafficChains) {
  if (!layout.traffic) return kNftTableComment;
  return kNftTableComment + std::string{kRules} + hexOf(layout.traffic.fingerprint) + " " +
         hexOf(partsOf(*layout.traffic.program, trafficChains).checksum());
}

std::string hookText(std::string_view type, std::uint32_t number, std::int32_t priority) {
  return std::string{type} + " " + std::to_string(number) + " " + std::to_string(priority);
}

std::vector<std::string> textOf(const Chain& chain) {
  std::vector<std::string> text;
  if (!chain.comment.empty()) text.push_back(chain.comment);
  if (chain.hook) text.push_back(hookText(chain.hook->type, chain.hook->number, chain.hook->priority));
  for (const Rule& rule : chain.rules) text.push_back(canonicalText(rule.get()));
  return text;
}

}  // namespace wgsteer::nft
