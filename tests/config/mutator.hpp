// SPDX-License-Identifier: GPL-2.0-or-later
// Turns good files into broken ones, reproducibly from a seed.
#pragma once

#include <random>
#include <span>
#include <string>
#include <string_view>

namespace wgsteer::config {

class Mutator {
 public:
  /// `telling` are characters, and `words` pieces of text, that have a meaning in the format; both are stored by
  /// reference.
  Mutator(unsigned seed, std::string_view telling, std::span<const std::string_view> words)
      : random_(seed), telling_(telling), words_(words) {}

  std::string mutate(std::string text) {
    for (std::size_t i = below(3) + 1; i > 0; --i) once(text);
    return text;
  }

 private:
  std::size_t below(std::size_t limit) { return limit == 0 ? 0 : random_() % limit; }
  std::string_view word() { return words_[below(words_.size())]; }

  void once(std::string& text) {
    const std::size_t at = below(text.size());
    switch (below(8)) {
      case 0:
        if (!text.empty()) text[at] = telling_[below(telling_.size())];
        break;
      case 1:
        text.insert(at, 1, static_cast<char>(below(256)));
        break;
      case 2:
        text.erase(at, below(60));
        break;
      case 3:
        text.insert(below(text.size()), text.substr(at, below(300)));
        break;
      case 4:
        text.insert(at, word());
        break;
      case 5:
        if (below(4) == 0) text.resize(at);
        break;
      case 6:
        // One line less.
        if (const auto line = text.find('\n', at); line != std::string::npos)
          text.erase(line, text.find('\n', line + 1) - line);
        break;
      default:
        if (const auto value = text.find_first_of(" =", at); value != std::string::npos)
          text.replace(value + 1, text.find('\n', value) - value - 1, word());
    }
  }

  std::mt19937 random_;
  std::string_view telling_;
  std::span<const std::string_view> words_;
};

}  // namespace wgsteer::config
