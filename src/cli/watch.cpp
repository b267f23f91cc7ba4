// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/watch.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <nlohmann/json.hpp>
#include <optional>
#include <poll.h>
#include <unistd.h>

#include "control/control_client.hpp"
#include "os/signals.hpp"
#include "os/timer.hpp"

namespace wgsteer::cli {

namespace {

using Json = nlohmann::json;

constexpr Duration kAtMostEvery = std::chrono::milliseconds{250};
constexpr Duration kTick = std::chrono::seconds{1};
constexpr Duration kUntold = std::chrono::seconds{5};

/// What the daemon would report now, as far as the clock alone tells.
Json aged(Json document, WallSeconds clock) {
  const std::int64_t now = sinceEpoch(clock);
  const std::int64_t older = now - document.at("time").get<std::int64_t>();
  document["time"] = now;
  for (Json& tunnel : document.at("tunnels"))
    for (Json& peer : tunnel.at("peers"))
      if (Json& age = peer.at("handshake_age"); age.is_number()) age = age.get<std::int64_t>() + older;
  return document;
}

class Watch {
 public:
  Watch(const Watched& watched, int interrupted) : watched_(watched), interrupted_(interrupted) {}

  Status run() {
    while (true) {
      if (auto subscribed = subscribe(); !subscribed) return subscribed;
      if (os::monotonicNow() >= fetchAt()) {
        if (auto fetched = fetch(); !fetched) return fetched;
      } else if (watched_.ticks) {
        over_ = !watched_.show(aged(document_, os::wallClock()));
      }
      if (over_ || wait()) return {};
    }
  }

 private:
  Status subscribe() {
    if (subscription_) return {};
    auto opened = Subscription::open();
    if (opened) subscription_ = std::move(*opened);
    // Events before the subscription were not announced.
    changed_ = changed_ || opened;
    return opened || opened.error().kind == ErrorKind::notThere ? Status{} : std::unexpected(opened.error());
  }

  Instant fetchAt() const {
    if (!fetchedAt_) return {};
    return *fetchedAt_ + (changed_ ? kAtMostEvery : subscription_ ? kUntold : kTick);
  }

  Status fetch() {
    fetchedAt_ = os::monotonicNow();
    changed_ = false;
    auto document = watched_.fetch();
    if (!document) return std::unexpected(document.error());
    document_ = std::move(*document);
    over_ = !watched_.show(document_);
    return {};
  }

  /// True when interrupted, or when the reader of stdout is gone.
  bool wait() {
    const Instant now = os::monotonicNow();
    const Instant until = watched_.ticks ? std::min(fetchAt(), now + kTick) : fetchAt();
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(std::max(until - now, Duration{0}));
    // Once a new status is due anyway, further news does not matter.
    const int told = subscription_ && !changed_ ? subscription_->descriptor() : -1;
    std::array<pollfd, 3> ready{{{.fd = interrupted_, .events = POLLIN, .revents = 0},
                                 {.fd = told, .events = POLLIN, .revents = 0},
                                 {.fd = STDOUT_FILENO, .events = 0, .revents = 0}}};
    if (::poll(ready.data(), ready.size(), static_cast<int>(left.count())) <= 0) return false;
    if (ready[0].revents != 0 || ready[2].revents != 0) return true;
    if (ready[1].revents == 0) return false;
    changed_ = true;
    if (!subscription_->drain()) subscription_.reset();
    return false;
  }

  const Watched& watched_;
  int interrupted_;
  std::optional<Subscription> subscription_;
  std::optional<Instant> fetchedAt_;
  bool changed_ = false;
  bool over_ = false;  ///< the reader of stdout is gone
  Json document_;
};

}  // namespace

Status watchStatus(const Watched& watched) {
  auto signals = os::Signals::create({SIGINT, SIGTERM});
  if (!signals) return std::unexpected(signals.error());
  return Watch{watched, signals->descriptor()}.run();
}

}  // namespace wgsteer::cli
