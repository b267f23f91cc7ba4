// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/options.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <getopt.h>
#include <string_view>
#include <utility>
#include <variant>

#include "wgsteer/core/overload.hpp"

namespace wgsteer::cli {

namespace {

/// The member that an option sets; none for --help.
using Member =
    std::variant<std::monostate, bool Options::*, std::string Options::*, std::optional<std::uint32_t> Options::*>;

struct OptionRow {
  char letter;
  const char* name;
  const char* value;  ///< placeholder of its value; nullptr: it takes none
  const char* text;
  Member member;
};

constexpr auto kOptions = std::to_array<OptionRow>({
    {'c', "config", "FILE", "configuration file (default: " WGSTEER_CONFIG_FILE ", if it exists)",
     &Options::configFile},
    {'j', "json", nullptr, "print JSON", &Options::json},
    {'o', "once", nullptr, "apply once and exit", &Options::once},
    {'w', "watch", nullptr, "print again on every change", &Options::watch},
    {'v', "verbose", nullptr, "log every change", &Options::verbose},
    {'m', "mark", "MARK", "firewall mark of the packet (default: that of the peer's tunnel, or 0)", &Options::mark},
    {'f', "from", "ADDR", "source address (default: chosen by the route); with --proto, also ADDR:PORT",
     &Options::from},
    {'p', "proto", "PROTO", "trace a new connection of this protocol (a name or number) through the rules",
     &Options::proto},
    {'i', "in", "DEVICE", "... arriving on DEVICE (default: sent by this host)", &Options::in},
    {'a', "mac", "MAC", "... from this hardware address", &Options::mac},
    {'d', "dscp", "DSCP", "... with this DSCP, a number or a name (default: 0)", &Options::dscp},
    {'n', "network", "FILE", "netifd's configuration (default: /etc/config/network, if it exists)",
     &Options::networkFile},
    {'t', "to", "FORMAT", "toml or uci (default: the format this build is configured with)", &Options::to},
    {'x', "textfile", "FILE", "write to FILE atomically, for the textfile collector of node_exporter",
     &Options::textFile},
    {'r', "reason", "TEXT", "the reason, shown in the log and in status", &Options::reason},
    {'h', "help", nullptr, "print this help", {}},
});
static_assert(std::ranges::all_of(kOptions,
                                  [](const OptionRow& row) {
                                    return (row.value == nullptr) == (row.member.index() < 2);
                                  }),
              "flags take no value, all others one");

bool takes(const Verb& verb, const OptionRow& option) {
  return option.letter == 'h' || std::strchr(verb.options, option.letter) != nullptr;
}

/// "-c, --config FILE".
std::string spelling(const OptionRow& option) {
  std::string text{'-', option.letter, ',', ' '};
  text.append("--").append(option.name);
  if (option.value != nullptr) text.append(" ").append(option.value);
  return text;
}

/// The first two columns are as wide as their longest entry. The shells' completions read these lines.
void printOverview(std::FILE* out, const std::vector<Verb>& verbs) {
  constexpr std::array<std::pair<Group, const char*>, 3> kTitles{
      {{Group::look, "Look (changes nothing):"}, {Group::change, "Change:"}, {Group::daemon, "Daemon:"}}};
  const auto widest = [&](const char* Verb::* column) {
    std::size_t width = 0;
    for (const Verb& verb : verbs) width = std::max(width, std::strlen(verb.*column));
    return static_cast<int>(width);
  };
  const int names = widest(&Verb::name);
  const int arguments = widest(&Verb::arguments);
  std::fputs("wgsteer keeps WireGuard's own packets on a physical WAN.\n\nUsage: wgsteer VERB [OPTION]...\n", out);
  for (const auto& [group, title] : kTitles) {
    std::fprintf(out, "\n%s\n", title);
    for (const Verb& verb : verbs)
      if (verb.group == group)
        std::fprintf(out, "  %-*s  %-*s  %s\n", names, verb.name, arguments, verb.arguments, verb.summary);
  }
  std::fputs(
      "\n\"wgsteer VERB --help\" lists the options of a verb; see also wgsteer(8).\n"
      "Exit status: 0 success, 1 error, 2 pending changes or a problem found, 64 usage\n"
      "error; \"run\" exits with 3 after a flush.\n",
      out);
}

void printVerb(std::FILE* out, const Verb& verb) {
  std::fprintf(out, "Usage: wgsteer %s%s%s [OPTION]...\n%s\n\n", verb.name, *verb.arguments != '\0' ? " " : "",
               verb.arguments, verb.summary);
  std::size_t width = 0;
  for (const OptionRow& option : kOptions)
    if (takes(verb, option)) width = std::max(width, spelling(option).size());
  for (const OptionRow& option : kOptions)
    if (takes(verb, option))
      std::fprintf(out, "  %-*s  %s\n", static_cast<int>(width), spelling(option).c_str(), option.text);
  std::fprintf(out, "\nExample: %s\n", verb.example);
}

std::optional<std::uint32_t> parseMark(const char* text) {
  char* end = nullptr;
  errno = 0;
  const unsigned long value = std::strtoul(text, &end, 0);
  if (errno != 0 || end == text || *end != '\0' || *text == '-' || value > 0xffffffffUL) return std::nullopt;
  return static_cast<std::uint32_t>(value);
}

/// The least and the most: 1 and 2 for "mwan3 [FILE]".
std::pair<std::size_t, std::size_t> argumentCount(std::string_view arguments) {
  std::size_t fewest = 0;
  std::size_t most = 0;
  for (std::size_t at = 0; at < arguments.size(); at = std::min(arguments.find(' ', at), arguments.size() - 1) + 1) {
    ++most;
    if (arguments[at] != '[') ++fewest;
  }
  return {fewest, most};
}

/// What getopt_long() has answered with '?': a word that is no option, a letter that is none, perhaps of several in one
/// word, or an option with a value (--json=x) that takes none.
std::string notTaken(char** argv, std::string_view letters) {
  if (optopt == 0) return std::string{"unknown option "} + argv[optind - 1];
  const auto letter = static_cast<char>(optopt);
  if (letters.find(letter) == std::string_view::npos) return std::string{"unknown option -"} + letter;
  return std::string{argv[optind - 1]} + ": this option takes no value";
}

int usageError(const Verb& verb, const std::string& why) {
  std::fprintf(stderr, "wgsteer %s: %s\nTry: wgsteer %s --help\n", verb.name, why.c_str(), verb.name);
  return kUsage;
}

/// False: a number was expected.
bool take(Options& options, int letter, const char* value) {
  const auto* row = std::ranges::find(kOptions, letter, &OptionRow::letter);
  return std::visit(Overload{
                        [](std::monostate) { return true; },
                        [&](bool Options::* flag) { return options.*flag = true; },
                        [&](std::string Options::* text) {
                          options.*text = value;
                          return true;
                        },
                        [&](std::optional<std::uint32_t> Options::* number) {
                          options.*number = parseMark(value);
                          return (options.*number).has_value();
                        },
                    },
                    row->member);
}

int runVerb(const Verb& verb, int argc, char** argv) {
  std::string letters = ":";
  std::vector<option> longOptions;
  for (const OptionRow& known : kOptions) {
    if (!takes(verb, known)) continue;
    letters += known.letter;
    if (known.value != nullptr) letters += ':';
    longOptions.push_back(
        {known.name, known.value != nullptr ? required_argument : no_argument, nullptr, known.letter});
  }
  longOptions.push_back({});

  Options options;
  while (true) {
    const int letter = getopt_long(argc, argv, letters.c_str(), longOptions.data(), nullptr);
    if (letter == -1) break;
    if (letter == 'h') {
      printVerb(stdout, verb);
      return kOk;
    }
    if (letter == '?') return usageError(verb, notTaken(argv, letters));
    if (letter == ':') return usageError(verb, std::string{argv[optind - 1]} + " needs a value");
    if (!take(options, letter, optarg)) return usageError(verb, std::string{optarg} + " is not a 32-bit number");
  }
  options.arguments.assign(argv + optind, argv + argc);
  const auto [fewest, most] = argumentCount(verb.arguments);
  if (options.arguments.size() < fewest) return usageError(verb, std::string{"missing argument: "} + verb.arguments);
  if (options.arguments.size() > most) return usageError(verb, "unexpected argument " + options.arguments[most]);
  return verb.run(options);
}

}  // namespace

int runCommandLine(int argc, char** argv, const std::vector<Verb>& verbs) {
  const std::string name = argc > 1 ? argv[1] : "";
  if (name == "--help" || name == "-h" || name == "help") {
    printOverview(stdout, verbs);
    return kOk;
  }
  for (const Verb& verb : verbs)
    if (name == verb.name || (name == "--version" && std::strcmp(verb.name, "version") == 0))
      return runVerb(verb, argc - 1, argv + 1);
  if (!name.empty()) std::fprintf(stderr, "wgsteer: no such verb: %s\n\n", name.c_str());
  printOverview(stderr, verbs);
  return kUsage;
}

}  // namespace wgsteer::cli
