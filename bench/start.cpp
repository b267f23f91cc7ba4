// SPDX-License-Identifier: GPL-2.0-or-later
// A start on a bare kernel, until all is in it, against the same writes alone: messages that lie ready are sent one
// after the other by a program that knows nothing.
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <memory>
#include <optional>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "wgsteer/core/desire.hpp"
#include "wgsteer/core/overload.hpp"

#include "benchmarks.hpp"
#include "kernel/linux_kernel.hpp"
#include "kernel/sysctl_files.hpp"
#include "netlink/rtnl.hpp"
#include "nft/transaction.hpp"

namespace wgsteer::bench {

namespace {

struct Size {
  int wans, tunnels, peers;
};

/// The changes of a plan as bytes.
class RawWrites {
 public:
  explicit RawWrites(const Plan& plan) : netfilter_(NETLINK_NETFILTER) {
    for (const Change& change : plan.changes) take(change);
  }

  void make() {
    for (const Write& write : writes_)
      std::visit(Overload{[&](const ToRtnetlink& bytes) { rtnetlink_.transact(bytes.message); },
                          [&](const ToNetfilter& bytes) { netfilter_.transact(bytes.batch); },
                          [&](const ToTunnel& text) { tell(text); },
                          [&](const Sysctl& sysctl) { (void)kernel::writeSysctl(sysctl, true); }},
                 write);
  }

 private:
  struct ToRtnetlink {
    Prebuilt message;
  };
  struct ToNetfilter {
    Prebuilt batch;
  };
  struct ToTunnel {
    std::string device, text;
  };
  using Write = std::variant<ToRtnetlink, ToNetfilter, ToTunnel, Sysctl>;

  static Prebuilt copied(std::span<const std::byte> bytes) {
    const auto* data = reinterpret_cast<const char*>(bytes.data());
    return {data, data + bytes.size()};
  }

  template <class Encode>
  void add(std::uint16_t type, Encode encode) {
    netlink::Message message{type, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK};
    encode(message);
    writes_.emplace_back(ToRtnetlink{copied(message.finished())});
  }

  void take(const Change& change) {
    std::visit(Overload{[&](const AddRoute& each) {
                          add(RTM_NEWROUTE, [&](netlink::Message& to) { netlink::encodeRoute(to, each.route); });
                        },
                        [&](const AddRule& each) {
                          add(RTM_NEWRULE, [&](netlink::Message& to) { netlink::encodeRule(to, each.rule); });
                        },
                        [&](const SetTunnelMark& each) {
                          writes_.emplace_back(
                              ToTunnel{each.tunnel, "set=1\nfwmark=" + std::to_string(each.mark.value) + "\n\n"});
                        },
                        [&](const SetSysctl& each) { writes_.emplace_back(each.sysctl); },
                        [&](const NftTransaction& each) {
                          nft::Batch batch(1);
                          if (!nft::fill(batch, each, Numbers{})) die("the nft transaction cannot be made");
                          writes_.emplace_back(ToNetfilter{copied(batch.finish())});
                        },
                        [](const auto&) { die("a start deletes nothing"); }},
               change);
  }

  static void tell(const ToTunnel& what) {
    const os::Fd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    ("/var/run/wireguard/" + what.device + ".sock").copy(address.sun_path, sizeof address.sun_path - 1);
    char answer[64];
    need(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
             ::write(socket.get(), what.text.data(), what.text.size()) > 0 &&
             ::read(socket.get(), answer, sizeof answer) > 0,
         what.device);
  }

  RawSocket rtnetlink_, netfilter_;
  std::vector<Write> writes_;
};

Config configuration(int wans) {
  Config config;
  for (int i = 0; i < wans; ++i) {
    WanConfig wan;
    wan.name = wan.device = wanName(i);
    wan.metric = static_cast<std::uint32_t>(i) + 1;
    config.wans.push_back(wan);
  }
  return config;
}

class Arm {
 public:
  Arm(const Options& options, const Size& size, const std::string& prefix, bool raw)
      : options_(options), size_(size), raw_(raw) {
    addWans(netns_, size.wans);
    tunnels_ = startTunnels(netns_, {.prefix = prefix, .count = size.tunnels, .peers = size.peers});
  }

  /// Milliseconds.
  double measure() {
    const double time = raw_ ? measureRaw() : measureDaemon();
    Process flush(netns_, [&] { exec({options_.daemon, "flush", "-c", writeConfiguration(size_.wans)}); });
    flush.await();
    return time;
  }

 private:
  double measureDaemon() {
    const std::int64_t begin = now();
    const Process daemon = startDaemon(netns_, options_, size_.wans);
    return static_cast<double>(now() - begin) / 1e6;
  }

  double measureRaw() {
    double time = 0;
    netns_.inside([&] {
      auto kernel = kernel::LinuxKernel::open();
      if (!kernel) die(kernel.error().toString());
      const auto seen = (*kernel)->observe(Numbers{});
      if (!seen) die(seen.error().toString());
      RawWrites writes(diff(desire(configuration(size_.wans), seen->world), seen->observed));
      pinTo(reactorCpu());  // where the daemon is
      const std::int64_t begin = now();
      writes.make();
      time = static_cast<double>(now() - begin) / 1e6;
      pinTo(driverCpu());
    });
    return time;
  }

  const Options& options_;
  Size size_;
  bool raw_;
  Netns netns_;
  Process tunnels_;
};

}  // namespace

std::vector<Row> start(const Options& options) {
  const Size size{8, options.count(100, 10), 100};
  std::vector<Arm> arms;
  arms.reserve(3);
  arms.emplace_back(options, size, "start", false);
  arms.emplace_back(options, size, "raw", true);
  arms.emplace_back(options, size, "other", true);
  std::vector<Series> all(arms.size(), Series(static_cast<std::size_t>(options.repetitions())));
  for (std::size_t repetition = 0; repetition < all.front().size(); ++repetition)
    for (int i = 0; i < options.count(30, 2); ++i)
      for (const std::size_t who : shuffled(arms.size())) {
        pause(20'000, 30'000);
        all[who][repetition].push_back(arms[who].measure());
      }
  const std::string name = "start: 8 WANs, " + std::to_string(size.tunnels) + " tunnels, " +
                           std::to_string(size.tunnels * size.peers) + " endpoints";
  return {compare(name, "ms", all[0], all[1], all[2], 2)};
}

}  // namespace wgsteer::bench
