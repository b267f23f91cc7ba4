// SPDX-License-Identifier: GPL-2.0-or-later
// inotify(7) on directories that may come and go, all with one instance: a user has 128, and all of root's programs
// share them. Without an instance, directories are checked from time to time, and opening one is retried.
//
// Threading: one thread, that of the loop. A handler may add and remove directories, its own as well.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "os/event_loop.hpp"
#include "os/fd.hpp"

namespace wgsteer::os {

class DirectoryWatches {
 public:
  /// What was created, written and closed, deleted or moved in the directory since the last call. An empty name among
  /// them: the directory itself has appeared or vanished, or it is unknown what has changed.
  using Names = std::set<std::string>;
  using Handler = std::function<void(const Names& names)>;

  explicit DirectoryWatches(EventLoop& loop) : loop_(loop) { open(); }
  DirectoryWatches(const DirectoryWatches&) = delete;
  DirectoryWatches& operator=(const DirectoryWatches&) = delete;
  ~DirectoryWatches();

  /// The watch ends with this object.
  class Watch {
   public:
    Watch() = default;
    Watch(Watch&& other) noexcept = default;
    Watch& operator=(Watch&& other) noexcept;
    ~Watch() { end(); }
    /// Whether there are events; otherwise it is checked from time to time.
    bool isWatched() const;

   private:
    friend class DirectoryWatches;
    struct State;
    explicit Watch(std::shared_ptr<State> state) : state_(std::move(state)) {}
    void end();
    std::shared_ptr<State> state_;
  };
  [[nodiscard]] Watch add(std::string directory, Handler handler);

  /// To be called about once a second: watches directories that have appeared since; without inotify, checks for
  /// changes.
  void renew();
  /// Why there is no inotify instance; empty if there is one.
  const std::string& trouble() const { return trouble_; }

 private:
  using State = Watch::State;
  using States = std::vector<std::shared_ptr<State>>;
  /// The news of a round, in the order in which watches were added.
  using News = std::vector<std::pair<std::shared_ptr<State>, Names>>;

  bool open();
  bool attach(State& state);
  void onReadable();
  void collect(std::string_view events, News& news);
  void forgetUnused();
  static void tell(const News& news);
  States living();

  EventLoop& loop_;
  Fd inotify_;
  std::string trouble_;
  std::vector<std::weak_ptr<State>> states_;
  std::set<int> numbers_;  ///< directories that the kernel watches
  bool looks_ = false;     ///< checks every other time
};

}  // namespace wgsteer::os
