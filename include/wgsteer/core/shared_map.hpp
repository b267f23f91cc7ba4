// SPDX-License-Identifier: GPL-2.0-or-later
// A std::map with copy-on-write. Copying it costs nothing, and two maps that share their content are known to be equal
// without comparing them, so an event costs the same with one endpoint as with 100 000.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <map>
#include <memory>
#include <utility>

namespace wgsteer {

template <class Key, class Value>
class SharedMap {
 public:
  using Map = std::map<Key, Value>;
  using value_type = typename Map::value_type;
  using const_iterator = typename Map::const_iterator;

  SharedMap() = default;
  // Not explicit: it is a map.
  SharedMap(Map map) : map_(std::make_shared<Map>(std::move(map))) {}  // NOLINT(google-explicit-constructor)
  SharedMap(std::initializer_list<value_type> entries) : SharedMap(Map{entries}) {}

  const Map& operator*() const { return *map_; }
  const_iterator begin() const { return map_->begin(); }
  const_iterator end() const { return map_->end(); }
  const_iterator find(const Key& key) const { return map_->find(key); }
  const_iterator lower_bound(const Key& key) const { return map_->lower_bound(key); }
  bool contains(const Key& key) const { return map_->contains(key); }
  /// The key must exist.
  const Value& at(const Key& key) const { return map_->at(key); }
  std::size_t size() const { return map_->size(); }
  bool empty() const { return map_->empty(); }

  /// The content for writing, no longer shared from here on.
  Map& edit() {
    if (map_.use_count() != 1) map_ = std::make_shared<Map>(*map_);
    return *map_;
  }
  /// The shared content itself, for writing what no comparison and no plan depends on.
  Map& inPlace() { return *map_; }

  /// Whether they share their content, and so are equal.
  bool same(const SharedMap& other) const { return map_ == other.map_; }
  friend bool operator==(const SharedMap& left, const SharedMap& right) {
    return left.same(right) || *left.map_ == *right.map_;
  }

 private:
  std::shared_ptr<Map> map_ = std::make_shared<Map>();
};

}  // namespace wgsteer
