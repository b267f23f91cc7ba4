// SPDX-License-Identifier: GPL-2.0-or-later
// inotify(7) on directories that may come and go, all of them by one instance: a user has 128, and all of root's
// programs share them. Without one, directories are looked at now and then, and an instance is tried for again.
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
  /// What in the directory was created, written and closed, deleted or moved since the last call. An empty name among
  /// them: the directory itself has come or gone, or nobody knows what has changed.
  using Names = std::set<std::string>;
  using Handler = std::function<void(const Names& names)>;

  explicit DirectoryWatches(EventLoop& loop) : loop_(loop) { open(); }
  DirectoryWatches(const DirectoryWatches&) = delete;
  DirectoryWatches& operator=(const DirectoryWatches&) = delete;
  ~DirectoryWatches();

  /// Ends with this object.
  class Watch {
   public:
    Watch() = default;
    Watch(Watch&& other) noexcept = default;
    Watch& operator=(Watch&& other) noexcept;
    ~Watch() { end(); }
    /// Whether events come; otherwise it is looked at now and then.
    bool isWatched() const;

   private:
    friend class DirectoryWatches;
    struct State;
    explicit Watch(std::shared_ptr<State> state) : state_(std::move(state)) {}
    void end();
    std::shared_ptr<State> state_;
  };
  [[nodiscard]] Watch add(std::string directory, Handler handler);

  /// To be called about once a second: watches what has appeared since; without inotify looks for what has changed.
  void renew();
  /// Why there is no inotify instance; empty if there is one.
  const std::string& trouble() const { return trouble_; }

 private:
  using State = Watch::State;
  using States = std::vector<std::shared_ptr<State>>;
  /// What a round has to tell, in the order of adding.
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
  bool looks_ = false;     ///< every other time
};

}  // namespace wgsteer::os
