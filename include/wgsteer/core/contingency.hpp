// SPDX-License-Identifier: GPL-2.0-or-later
// The plan of an event that has not happened yet. For each WAN, the events that a failover or its end begins with are
// imagined, and go through the same track(), steer(), desire() and diff() as real ones: so a contingency cannot say
// anything else than the plan of the event will. What is kept are the first writes of that plan, as far as they are
// routes, which is what packets wait for. All else is planned when the event has come.
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

/// WANs that are not to be used from then on, as Engine::setWansDown() is given them.
struct Verdict {
  WansDown down;
};
/// What may happen: an event of the kernel, or a verdict on the WANs.
using Occurrence = std::variant<Event, Verdict>;

struct Contingency {
  Occurrence occurrence;
  /// Not empty: AddRoute and DeleteRoute of the plan, in its order, from its beginning.
  std::vector<Change> writes;
};

/// More are not imagined: enough for eight WANs in both families.
inline constexpr std::size_t kMaxContingencies = 64;
/// In a world with more routes than this nothing is imagined, for each occurrence starts from a copy of it.
inline constexpr std::size_t kMaxRoutesToImagine = 1000;

/// What may happen to the WANs next: link, carrier, an address or the last default route lost, not to be used; and the
/// return of each. At most kMaxContingencies.
std::vector<Occurrence> imaginable(const World& world, const Steering& steering);

/// Those that begin with writing routes. `withhold` leaves out of a plan what was refused a moment ago.
std::vector<Contingency> contingencies(const Config& config, const Picture& picture, Planner& planner,
                                       const std::function<Plan(Plan)>& withhold);

/// The leading changes of a plan that are routes, up to the first that is something else.
std::vector<Change> firstRoutes(const Plan& plan);

/// Index of the contingency for what has really happened; none if it was not imagined, or not quite so.
std::optional<std::size_t> find(std::span<const Contingency> contingencies, const Event& event);
std::optional<std::size_t> find(std::span<const Contingency> contingencies, const WansDown& down);

}  // namespace wgsteer
