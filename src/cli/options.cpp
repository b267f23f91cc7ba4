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

namespace wgsteer::cli {

namespace {

struct OptionText {
  char letter;
  const char* name;
  bool takesValue;
  const char* text;
};

constexpr std::array<OptionText, 11> kOptions{{
    {'c', "config", true, "  -c, --config FILE  configuration (default: " WGSTEER_CONFIG_FILE ", if it is there)"},
    {'j', "json", false, "  -j, --json         print JSON"},
    {'o', "once", false, "  -o, --once         converge once and leave"},
    {'w', "watch", false, "  -w, --watch        print again whenever something has changed"},
    {'v', "verbose", false, "  -v, --verbose      say what is changed, change by change"},
    {'m', "mark", true, "  -m, --mark MARK    the packet's firewall mark (default: that of the peer's tunnel, or 0)"},
    {'f', "from", true, "  -f, --from ADDR    the packet's source address (default: not chosen yet)"},
    {'n', "network", true,
     "  -n, --network FILE  netifd's configuration (default: /etc/config/network, if it is there)"},
    {'t', "to", true, "  -t, --to FORMAT     toml or uci (default: what this build reads by default)"},
    {'x', "textfile", true, "  -x, --textfile FILE  write into FILE, whole at any moment, for node_exporter"},
    {'r', "reason", true, "  -r, --reason TEXT  why, for the log and for status"},
}};

void printOverview(std::FILE* out, const std::vector<Verb>& verbs) {
  std::fputs("wgsteer keeps WireGuard's own packets on a physical WAN.\n\nUsage: wgsteer VERB [OPTION]...\n\n", out);
  for (const Verb& verb : verbs) std::fprintf(out, "  %-8s %-18s %s\n", verb.name, verb.arguments, verb.summary);
  std::fputs(
      "\nwgsteer VERB --help tells a verb's options; wgsteer(8) tells everything.\n"
      "Exit status: 0 ok, 1 error, 2 there is something to change or a problem was found, 64 usage; of run, 3 it was "
      "flushed.\n",
      out);
}

void printVerb(std::FILE* out, const Verb& verb) {
  std::fprintf(out, "Usage: wgsteer %s%s%s [OPTION]...\n%s\n\n", verb.name, *verb.arguments != '\0' ? " " : "",
               verb.arguments, verb.summary);
  for (const OptionText& option : kOptions)
    if (std::strchr(verb.options, option.letter) != nullptr) std::fprintf(out, "%s\n", option.text);
  std::fputs("  -h, --help         this text\n", out);
}

std::optional<std::uint32_t> parseMark(const char* text) {
  char* end = nullptr;
  errno = 0;
  const unsigned long value = std::strtoul(text, &end, 0);
  if (errno != 0 || end == text || *end != '\0' || *text == '-' || value > 0xffffffffUL) return std::nullopt;
  return static_cast<std::uint32_t>(value);
}

/// Of "mwan3 [FILE]": 1 and 2.
std::pair<std::size_t, std::size_t> argumentCount(std::string_view arguments) {
  std::size_t fewest = 0;
  std::size_t most = 0;
  for (std::size_t at = 0; at < arguments.size(); at = std::min(arguments.find(' ', at), arguments.size() - 1) + 1) {
    ++most;
    if (arguments[at] != '[') ++fewest;
  }
  return {fewest, most};
}

int usageError(const Verb& verb, const std::string& why) {
  std::fprintf(stderr, "wgsteer %s: %s\nTry: wgsteer %s --help\n", verb.name, why.c_str(), verb.name);
  return kUsage;
}

bool take(Options& options, int letter, const char* value) {
  switch (letter) {
    case 'c':
      options.configFile = value;
      return true;
    case 'j':
      return options.json = true;
    case 'o':
      return options.once = true;
    case 'w':
      return options.watch = true;
    case 'v':
      return options.verbose = true;
    case 'm':
      options.mark = parseMark(value);
      return options.mark.has_value();
    case 'f':
      options.from = value;
      return true;
    case 'n':
      options.networkFile = value;
      return true;
    case 'r':
      options.reason = value;
      return true;
    case 'x':
      options.textFile = value;
      return true;
    case 't':
      options.to = value;
      return true;
    default:
      return false;
  }
}

int runVerb(const Verb& verb, int argc, char** argv) {
  std::string letters = ":h";
  std::vector<option> longOptions{{"help", no_argument, nullptr, 'h'}};
  for (const OptionText& known : kOptions) {
    if (std::strchr(verb.options, known.letter) == nullptr) continue;
    letters += known.letter;
    if (known.takesValue) letters += ':';
    longOptions.push_back({known.name, known.takesValue ? required_argument : no_argument, nullptr, known.letter});
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
    if (letter == '?') return usageError(verb, std::string{"unknown option "} + argv[optind - 1]);
    if (letter == ':') return usageError(verb, std::string{argv[optind - 1]} + " needs a value");
    if (!take(options, letter, optarg)) return usageError(verb, std::string{optarg} + " is not a number of 32 bits");
  }
  options.arguments.assign(argv + optind, argv + argc);
  const auto [fewest, most] = argumentCount(verb.arguments);
  if (options.arguments.size() < fewest)
    return usageError(verb, std::string{"an argument is needed: "} + verb.arguments);
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
