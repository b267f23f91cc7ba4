// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/wan_resolvers.hpp"

#include <algorithm>
#include <utility>

#include "log/log.hpp"
#include "os/timer.hpp"

namespace wgsteer {

namespace {

/// A thousand names that fail at once must not cause the files to be read a thousand times.
constexpr std::chrono::seconds kRenewAfter{1};

std::uint32_t bestMetric(const Wan& wan) { return std::min(wan.metric.at(Family::v4), wan.metric.at(Family::v6)); }

std::vector<Address> serversOf(const Config& config, const Wan& wan, const foreign::LinkServerFiles& files) {
  const auto configured = std::ranges::find(config.wans, wan.name, &WanConfig::name);
  if (configured != config.wans.end() && !configured->dns.empty()) return configured->dns;
  return foreign::serversOf(files, wan.device, wan.link->index);
}

}  // namespace

std::vector<WanServers> serversOfWans(const Config& config, const Steering& steering,
                                      const foreign::LinkServerFiles& files) {
  std::vector<const Wan*> usable;
  for (const Wan& wan : steering.wans)
    if (serves(wan, Family::v4) || serves(wan, Family::v6)) usable.push_back(&wan);
  std::ranges::stable_sort(usable, {}, [](const Wan* wan) { return bestMetric(*wan); });
  std::vector<WanServers> found;
  for (const Wan* wan : usable) {
    auto servers = serversOf(config, *wan, files);
    // Servers of a dead family would only cause timeouts.
    std::erase_if(servers, [&](const Address& server) { return !serves(*wan, server.family()); });
    if (!servers.empty())
      found.push_back({wan->name, wan->device, config.numbers.markOf(wan->slot), std::move(servers)});
  }
  return found;
}

Mark queryMark(const Config& config, const Steering& steering) {
  if (steering.tunnels.empty()) return {};
  const PolicyView& policy = steering.policies[steering.tunnels.front().policy];
  return config.numbers.markOf(policy.target.slot);
}

bool isOwn(const World& world, const Address& address) {
  return std::ranges::find(world.addresses, address, &InterfaceAddress::address) != world.addresses.end();
}

WanResolvers::~WanResolvers() {
  for (const auto* lines : {&lines_, &retired_})
    for (const auto& line : *lines) loop_.unwatch(line->resolver.descriptor());
}

void WanResolvers::resolve(const std::string& name, dns::ResolveError first, dns::Resolver::Callback callback) {
  renew();
  auto question = std::make_shared<Question>(Question{name, std::move(first), std::move(callback), {}});
  for (const auto& line : lines_) {
    ++line->users;
    question->lines.push_back(line.get());
  }
  askNext(question);
}

void WanResolvers::askNext(const std::shared_ptr<Question>& question) {
  if (question->at == question->lines.size()) return finish(*question, std::unexpected(question->failure));
  Line& line = *question->lines[question->at++];
  line.resolver.resolve(question->name, dns::Families::both, [this, question, &line](const dns::ResolveResult& result) {
    if (!mayKnowBetter(result)) return finish(*question, result);
    question->failure.what += "; by WAN " + line.via.wan + ": " + result.error().what;
    askNext(question);
  });
}

void WanResolvers::finish(const Question& question, const dns::ResolveResult& result) {
  for (Line* line : question.lines) --line->users;
  question.callback(result);
}

void WanResolvers::renew() {
  const Instant now = os::monotonicNow();
  if (renewed_ && now - *renewed_ < kRenewAfter) return;
  renewed_ = now;
  std::erase_if(retired_, [this](const auto& line) {
    if (line->users > 0) return false;
    loop_.unwatch(line->resolver.descriptor());
    return true;
  });
  std::vector<std::unique_ptr<Line>> before;
  before.swap(lines_);
  for (const WanServers& via : surroundings_.servers()) {
    const auto same = std::ranges::find_if(before, [&](const auto& line) { return line && line->via == via; });
    if (same == before.end())
      open(via, lines_);
    else
      lines_.push_back(std::move(*same));
  }
  for (auto& line : before)
    if (line) retired_.push_back(std::move(line));
}

void WanResolvers::open(const WanServers& via, std::vector<std::unique_ptr<Line>>& to) {
  auto opened = openLine(via);
  if (opened) {
    said_.erase(via.wan);
    return to.push_back(std::move(*opened));
  }
  const std::string line = "name servers of WAN " + via.wan + ": " + opened.error().toString();
  if (std::exchange(said_[via.wan], line) != line) log::warn(line);
}

Result<std::unique_ptr<WanResolvers::Line>> WanResolvers::openLine(const WanServers& via) {
  auto opened = dns::Resolver::create({.servers = via.servers,
                                       .mark = via.mark,
                                       .device = via.device,
                                       .isOwn = surroundings_.isOwn,
                                       .timeout = surroundings_.timeout});
  if (!opened) return std::unexpected(opened.error());
  auto line = std::make_unique<Line>(Line{via, std::move(*opened)});
  auto watched = loop_.watch(line->resolver.descriptor(), [resolver = &line->resolver] { resolver->process(); });
  if (!watched) return std::unexpected(watched.error());
  return line;
}

}  // namespace wgsteer
