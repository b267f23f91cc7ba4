// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/walk_text.hpp"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/common.hpp"
#include "cli/endpoint_text.hpp"

namespace wgsteer::cli {

std::optional<Endpoint> destinationOf(const Options& options) {
  const std::string& text = options.arguments.front();
  const auto destination = endpointIn(text);
  if (!destination)
    std::fprintf(stderr,
                 "wgsteer explain: not an address: %s; write 203.0.113.55, 203.0.113.55:51820 or [2001:db8::1]:51820\n",
                 text.c_str());
  return destination;
}

std::string verdictOf(const Walk& walk) {
  switch (walk.outcome) {
    case Outcome::device:
      return "leaves by " + walk.device + (walk.gateway ? " via " + walk.gateway->toString() : "") +
             (walk.source ? " from " + walk.source->toString() : "");
    case Outcome::loop:
      return "LOOP: ends in tunnel " + walk.device;
    case Outcome::dropped:
      return "dropped: would end in tunnel " + walk.device;
    case Outcome::unreachable:
      return "unreachable";
    case Outcome::noRoute:
      return "no route";
    case Outcome::local:
      return "delivered to this host";
  }
  return {};
}

void printSteps(const Walk& walk) {
  for (const WalkStep& step : walk.steps) printText((step.matched ? "  * " : "    ") + step.text + "\n");
}

void printVerdict(const std::string& verdict, bool good) {
  std::fputs(!colourWanted() ? "" : good ? "\033[32m" : "\033[31m", stdout);
  printText(verdict);
  std::fputs(colourWanted() ? "\033[0m\n" : "\n", stdout);
}

nlohmann::json stepsOf(const Walk& walk) {
  nlohmann::json steps = nlohmann::json::array();
  for (const WalkStep& step : walk.steps) steps.push_back({{"text", step.text}, {"matched", step.matched}});
  return steps;
}

}  // namespace wgsteer::cli
