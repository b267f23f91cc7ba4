// SPDX-License-Identifier: GPL-2.0-or-later
// At most one value per address family. Has the part of std::map's interface that is needed, and allocates nothing: a
// plan makes dozens of these for every event.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <initializer_list>
#include <utility>

#include "wgsteer/core/address.hpp"

namespace wgsteer {

template <class T>
class FamilyMap {
 public:
  using value_type = std::pair<Family, T>;
  using iterator = value_type*;
  using const_iterator = const value_type*;

  FamilyMap() = default;
  FamilyMap(std::initializer_list<value_type> entries) {
    for (const auto& [family, value] : entries) (*this)[family] = value;
  }

  iterator begin() { return entries_.data(); }
  iterator end() { return entries_.data() + size_; }
  const_iterator begin() const { return entries_.data(); }
  const_iterator end() const { return entries_.data() + size_; }
  bool empty() const { return size_ == 0; }

  const_iterator find(Family family) const { return std::ranges::find(*this, family, &value_type::first); }
  bool contains(Family family) const { return find(family) != end(); }
  /// The family must be present.
  const T& at(Family family) const { return find(family)->second; }

  T& operator[](Family family) {
    auto* place = std::ranges::lower_bound(*this, family, {}, &value_type::first);
    if (place == end() || place->first != family) {
      std::move_backward(place, end(), end() + 1);
      ++size_;
      *place = {family, T{}};
    }
    return place->second;
  }

  friend bool operator==(const FamilyMap& left, const FamilyMap& right) { return std::ranges::equal(left, right); }

 private:
  std::array<value_type, kFamilies.size()> entries_{};
  std::size_t size_ = 0;
};

}  // namespace wgsteer
