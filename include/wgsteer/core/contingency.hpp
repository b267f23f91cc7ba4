// SPDX-License-Identifier: GPL-2.0-or-later
// The plan for an event that has not happened yet. For each WAN, the events with which a failover or its end begins are
// imagined and passed through the same track(), steer(), desire() and diff() as real ones, so a contingency cannot
// differ from the plan for the real event. Only the route changes at the start of that plan are kept, since packets
// wait for these. Everything else is planned when the event arrives.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "wgsteer/core/event.hpp"
#include "wgsteer/core/planner.hpp"
#include "wgsteer/core/track.hpp"

namespace wgsteer {

/// WANs that must not be used from then on, as passed to Engine::setWansDown().
struct Verdict {
  WansDown down;
};
/// What may happen: an event of the kernel, or a verdict on the WANs.
using Occurrence = std::variant<Event, Verdict>;

struct Contingency {
  Occurrence occurrence;
  /// The AddRoute and DeleteRoute changes at the start of the plan, in order; never empty.
  std::vector<Change> writes;
};

/// The most that are imagined: enough for eight WANs in both families.
inline constexpr std::size_t kMaxContingencies = 64;
/// Nothing is imagined in a world with more routes than this, because each occurrence starts from a copy of it.
inline constexpr std::size_t kMaxRoutesToImagine = 1000;

/// What may happen to the WANs next: the loss of the link, the carrier, an address or the last default route, or a
/// verdict against them; and the reverse of each. At most kMaxContingencies.
std::vector<Occurrence> imaginable(const World& world, const Steering& steering);

/// The contingencies that begin with route changes. `withhold` removes from a plan what the kernel refused a moment
/// ago.
std::vector<Contingency> contingencies(const Config& config, const Picture& picture, Planner& planner,
                                       const std::function<Plan(Plan)>& withhold);

/// The route changes at the start of a plan, up to the first change of another kind.
std::vector<Change> firstRoutes(const Plan& plan);

/// Index of the contingency for what really happened; nullopt if it was not imagined, or not exactly like this.
std::optional<std::size_t> find(std::span<const Contingency> contingencies, const Event& event);
std::optional<std::size_t> find(std::span<const Contingency> contingencies, const WansDown& down);

}  // namespace wgsteer
