// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine/wrong_translations.hpp"

namespace wgsteer {

void WrongTranslations::note(const std::map<Mark, Translations>& known) {
  for (const auto& [mark, translations] : known) {
    std::set<Address>& wrong = wrong_[mark];
    wrong.insert(translations.wrong.begin(), translations.wrong.end());
    for (const Address& right : translations.right) wrong.erase(right);
    if (wrong.empty()) wrong_.erase(mark);
  }
}

void WrongTranslations::forget(Instant now, std::uint32_t markMask, const Tell& tell, const Report& report) {
  const auto due = nextDue();
  if (!due || *due > now) return;
  last_ = now;
  const auto forgotten = kernel_.forgetTranslatedTo(markMask, wrong_);
  if (!forgotten) {
    if (forgotten.error().kind == ErrorKind::refused) wrong_.clear();
    return report(forgotten.error());
  }
  wrong_.clear();
  if (*forgotten != 0 && tell) tell(*forgotten);
}

std::optional<Instant> WrongTranslations::nextDue() const {
  if (wrong_.empty()) return std::nullopt;
  return last_ ? *last_ + kPause : Instant{};
}

}  // namespace wgsteer
