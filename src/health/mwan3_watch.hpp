// SPDX-License-Identifier: GPL-2.0-or-later
// mwan3's verdict on its interfaces: BASE/mwan3/iface_state/NAME, which its own policies use, or else
// BASE/mwan3track/NAME/STATUS. Neither folder exists while mwan3 is stopped; then nothing is known.
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

  /// `base`: /var/run. Existing files are read without calling `changed`.
  static Result<std::unique_ptr<Mwan3Watch>> create(os::EventLoop& loop, os::DirectoryWatches& directories,
                                                    std::string base, Changed changed);
  Mwan3Watch(const Mwan3Watch&) = delete;
  Mwan3Watch& operator=(const Mwan3Watch&) = delete;
  ~Mwan3Watch() { loop_.unwatch(retry_.descriptor()); }

  /// unknown for an interface that mwan3 does not mention.
  Health of(const std::string& interface) const;
  const std::map<std::string, Health>& all() const { return states_; }

 private:
  using States = std::map<std::string, Health>;
  using Names = os::DirectoryWatches::Names;
  Mwan3Watch(os::EventLoop& loop, os::DirectoryWatches& directories, std::string base, Changed changed,
             os::Timer retry);
  void watchAll();
  /// True if there are events for it.
  bool watchFolder(const std::string& folder, std::function<bool(const std::string& name)> matters);
  void onChange(const Names& names, const std::function<bool(const std::string& name)>& matters);
  /// Reads what has changed, and calls `changed` for each difference.
  void refresh();
  States read();
  std::optional<Health> readFile(const std::string& path, const std::string& interface);

  os::EventLoop& loop_;
  os::DirectoryWatches& directories_;
  std::string base_;
  std::shared_ptr<const Changed> changed_;  ///< ends with the watch
  os::Timer retry_;
  std::vector<os::DirectoryWatches::Watch> watches_;
  bool empty_ = false;  ///< a file was empty, so it is about to be written
  unsigned retries_ = 0;
  States states_;
};

}  // namespace wgsteer::health
