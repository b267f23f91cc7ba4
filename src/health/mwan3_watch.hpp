// SPDX-License-Identifier: GPL-2.0-or-later
// What mwan3 says of its interfaces: BASE/mwan3/iface_state/NAME, which its own policies go by, and where that is not,
// BASE/mwan3track/NAME/STATUS. Both folders vanish while mwan3 is stopped; then nothing is known.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "wgsteer/core/health.hpp"
#include "wgsteer/result.hpp"

#include "os/directory_watch.hpp"
#include "os/timer.hpp"

namespace wgsteer::health {

class Mwan3Watch {
 public:
  using Changed = std::function<void(const std::string& interface, Health now)>;

  /// `base`: /var/run. What is there already is read, without a call of `changed`.
  static Result<Mwan3Watch> create(std::string base, Changed changed);

  /// Readable when ready() has something to do.
  int descriptor() const { return epoll_.get(); }
  /// Reads what has changed, and tells `changed` of each difference.
  void ready();
  /// unknown for an interface that mwan3 says nothing of.
  Health of(const std::string& interface) const;
  const std::map<std::string, Health>& all() const { return states_; }

 private:
  using States = std::map<std::string, Health>;
  Mwan3Watch(std::string base, Changed changed, os::Fd epoll, os::DirectoryWatch watch, os::Timer retry);
  void watchAll();
  bool matters(int directory, const std::string& name) const;
  void refresh();
  States read();
  std::optional<Health> readFile(const std::string& path, const std::string& interface);

  std::string base_;
  Changed changed_;
  os::Fd epoll_;
  os::DirectoryWatch watch_;
  os::Timer retry_;
  int baseNumber_ = -1;
  std::set<int> trackNumbers_;  ///< folders in which only STATUS matters
  bool empty_ = false;          ///< a file was, so it is about to be written
  unsigned retries_ = 0;
  States states_;
};

}  // namespace wgsteer::health
