// SPDX-License-Identifier: GPL-2.0-or-later
// What mwan3 says of its interfaces: BASE/mwan3/iface_state/NAME, which its own policies go by, and where that is not,
// BASE/mwan3track/NAME/STATUS. Both folders vanish while mwan3 is stopped; then nothing is known.
//
// Threading: one thread, that of the loop. `changed` may destroy the watch.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "wgsteer/core/health.hpp"
#include "wgsteer/result.hpp"

#include "os/directory_watches.hpp"
#include "os/event_loop.hpp"
#include "os/timer.hpp"

namespace wgsteer::health {

class Mwan3Watch {
 public:
  using Changed = std::function<void(const std::string& interface, Health now)>;

  /// `base`: /var/run. What is there already is read, without a call of `changed`.
  static Result<std::unique_ptr<Mwan3Watch>> create(os::EventLoop& loop, os::DirectoryWatches& directories,
                                                    std::string base, Changed changed);
  Mwan3Watch(const Mwan3Watch&) = delete;
  Mwan3Watch& operator=(const Mwan3Watch&) = delete;
  ~Mwan3Watch() { loop_.unwatch(retry_.descriptor()); }

  /// unknown for an interface that mwan3 says nothing of.
  Health of(const std::string& interface) const;
  const std::map<std::string, Health>& all() const { return states_; }

 private:
  using States = std::map<std::string, Health>;
  using Names = os::DirectoryWatches::Names;
  Mwan3Watch(os::EventLoop& loop, os::DirectoryWatches& directories, std::string base, Changed changed,
             os::Timer retry);
  void watchAll();
  /// True if events come from there.
  bool watchFolder(const std::string& folder, std::function<bool(const std::string& name)> matters);
  void onChange(const Names& names, const std::function<bool(const std::string& name)>& matters);
  /// Reads what has changed, and tells `changed` of each difference.
  void refresh();
  States read();
  std::optional<Health> readFile(const std::string& path, const std::string& interface);

  os::EventLoop& loop_;
  os::DirectoryWatches& directories_;
  std::string base_;
  std::shared_ptr<const Changed> changed_;  ///< ends with the watch
  os::Timer retry_;
  std::vector<os::DirectoryWatches::Watch> watches_;
  bool empty_ = false;  ///< a file was, so it is about to be written
  unsigned retries_ = 0;
  States states_;
};

}  // namespace wgsteer::health
