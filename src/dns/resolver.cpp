// SPDX-License-Identifier: GPL-2.0-or-later
#include "dns/resolver.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <map>
#include <netdb.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "dns/combine.hpp"
#include "dns/query_socket.hpp"
#include "os/fd.hpp"
#include "os/poller.hpp"
#include "os/timer.hpp"

namespace wgsteer::dns {

namespace {

constexpr int kTries = 2;
constexpr int kClassIn = 1;
constexpr int kTypeA = 1;
constexpr int kTypeAaaa = 28;
/// Names in flight at once; a thousand queries at once would overflow the buffers of the socket, and of the server.
constexpr std::size_t kMaxInFlight = 64;
/// A file has no time to live: it is read again within a minute.
constexpr std::uint32_t kHostsFileTtl = 60;
constexpr const char* kHostsFile = "/etc/hosts";

/// A file that c-ares reads with fopen(3), where a FIFO would block the daemon. So it is opened here, and c-ares gets
/// the regular file that was found, whatever has that name meanwhile.
class Readable {
 public:
  explicit Readable(const std::string& file) : fd_(::open(file.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)) {
    struct stat about{};
    isMissing_ = !fd_ && (errno == ENOENT || errno == ENOTDIR);
    if (!fd_ && !isMissing_) trouble_ = file + ": " + std::strerror(errno);
    if (!fd_ || (fstat(fd_.get(), &about) == 0 && S_ISREG(about.st_mode))) return;
    trouble_ = file + ": not a regular file, ignored";
    fd_.reset();
  }
  explicit operator bool() const { return static_cast<bool>(fd_); }
  const std::string& trouble() const { return trouble_; }
  /// Valid as long as this object.
  std::string path() const { return fd_ ? "/proc/self/fd/" + std::to_string(fd_.get()) : "/dev/null"; }

 private:
  os::Fd fd_;
  bool isMissing_ = false;
  std::string trouble_;
};

struct ChannelDeleter {
  void operator()(ares_channeldata* channel) const { ares_destroy(channel); }
};
using Channel = std::unique_ptr<ares_channeldata, ChannelDeleter>;

struct Request {
  std::string name;
  Resolver::Callback callback;
  std::vector<Family> families;
  std::map<Family, FamilyResult> results;
  bool done() const { return results.size() == families.size(); }
};

std::optional<Records> hostsFileEntry(ares_channel channel, const std::string& name, Family family) {
  // c-ares determines the name of the file.
  if (!Readable{kHostsFile}) return std::nullopt;
  hostent* entry = nullptr;
  const int status = ares_gethostbyname_file(channel, name.c_str(), family == Family::v4 ? AF_INET : AF_INET6, &entry);
  if (status != ARES_SUCCESS) return std::nullopt;
  Records records{.addresses = {}, .ttl = kHostsFileTtl};
  for (char** each = entry->h_addr_list; *each != nullptr && records.addresses.size() < kMaxAddresses; ++each) {
    std::array<std::uint8_t, 16> bytes{};
    const auto size = std::min<std::size_t>(static_cast<std::size_t>(entry->h_length), bytes.size());
    std::memcpy(bytes.data(), *each, size);
    if (const auto address = Address::fromBytes({bytes.data(), size})) records.addresses.push_back(*address);
  }
  ares_free_hostent(entry);
  std::ranges::sort(records.addresses);
  const auto doubles = std::ranges::unique(records.addresses);
  records.addresses.erase(doubles.begin(), doubles.end());
  if (records.addresses.empty()) return std::nullopt;
  return records;
}

std::string joined(const std::vector<Address>& servers) {
  std::string text;
  for (const Address& server : servers) text += (text.empty() ? "" : ",") + server.toString();
  return text;
}

}  // namespace

class Resolver::Impl {
 public:
  Impl(ResolverOptions options, os::Poller poller, os::Timer timer)
      : options_(std::move(options)),
        sockets_(options_.mark, options_.device, options_.isOwn),
        poller_(std::move(poller)),
        timer_(std::move(timer)) {}
  ~Impl() { drop(std::move(channel_)); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  Impl(Impl&&) = delete;  // c-ares keeps a pointer to it
  Impl& operator=(Impl&&) = delete;

  Status start();
  Status reload();
  void resolve(std::string name, Families families, Callback callback);
  void process();
  void close() { closed_ = true; }
  int descriptor() const { return poller_.descriptor(); }
  const std::string& trouble() const { return trouble_; }

 private:
  /// What c-ares hands back with an answer.
  struct Question {
    Impl& resolver;
    std::uint64_t request;
    Family family;
  };

  Result<Channel> open();
  void drop(Channel channel);
  void ask(std::uint64_t id, const Request& request, Family family);
  void onAnswer(const Question& question, int status, std::span<const std::uint8_t> message);
  void onSocket(int descriptor, bool readable, bool writable) const;
  void begin(Request&& request);
  bool fromHostsFile(Request& request);
  void deliver();
  void armTimer();

  ResolverOptions options_;
  QuerySockets sockets_;
  os::Poller poller_;
  os::Timer timer_;
  Channel channel_;
  std::map<std::uint64_t, Request> requests_;  // in flight or finished
  std::deque<Request> waiting_;
  std::vector<std::uint64_t> finished_;  // not yet delivered
  std::uint64_t nextRequest_ = 0;
  std::string trouble_;
  bool dropping_ = false;
  bool closed_ = false;  ///< its owner was destroyed, within a callback
};

Status Resolver::Impl::start() {
  const int timer = timer_.descriptor();
  if (auto watched = poller_.watch(timer, EPOLLIN, static_cast<std::uint64_t>(timer)); !watched) return watched;
  auto channel = open();
  if (!channel) return std::unexpected(channel.error());
  channel_ = std::move(*channel);
  return {};
}

Result<Channel> Resolver::Impl::open() {
  ares_options settings{};
  settings.flags = ARES_FLAG_NOALIASES;
  // Needed only by functions that are not used here; without it c-ares would read the files that define it.
  std::string lookups = "b";
  settings.lookups = lookups.data();
  const Readable file{options_.resolvConf};
  trouble_ = file.trouble();
  std::string path = file.path();
  settings.timeout = static_cast<int>(options_.timeout.count());
  settings.tries = kTries;
  settings.resolvconf_path = path.data();
  settings.sock_state_cb = [](void* self, ares_socket_t descriptor, int readable, int writable) {
    static_cast<Impl*>(self)->onSocket(descriptor, readable != 0, writable != 0);
  };
  settings.sock_state_cb_data = this;
  int given = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_RESOLVCONF | ARES_OPT_SOCK_STATE_CB |
              ARES_OPT_LOOKUPS;
#ifdef ARES_OPT_QUERY_CACHE
  // Later versions cache answers, but whoever asks before the time to live is over wants a fresh one.
  settings.qcache_max_ttl = 0;
  given |= ARES_OPT_QUERY_CACHE;
#endif
  ares_channel opened = nullptr;
  if (const int status = ares_init_options(&opened, &settings, given); status != ARES_SUCCESS)
    return fail(ErrorKind::io, options_.resolvConf + ": " + ares_strerror(status));
  Channel channel{opened};
  sockets_.attach(opened);
  const std::string servers = joined(options_.servers);
  if (servers.empty()) return channel;
  if (const int status = ares_set_servers_ports_csv(opened, servers.c_str()); status != ARES_SUCCESS)
    return fail(ErrorKind::config, "name servers " + servers + ": " + ares_strerror(status));
  return channel;
}

void Resolver::Impl::drop(Channel channel) {
  // This completes every open query with ARES_EDESTRUCTION.
  dropping_ = true;
  channel.reset();
  dropping_ = false;
}

Status Resolver::Impl::reload() {
  auto channel = open();
  if (!channel) return std::unexpected(channel.error());
  drop(std::exchange(channel_, std::move(*channel)));
  for (const auto& [id, request] : requests_)
    for (const Family family : request.families)
      if (!request.results.contains(family)) ask(id, request, family);
  armTimer();
  return {};
}

bool Resolver::Impl::fromHostsFile(Request& request) {
  for (const Family family : request.families)
    if (auto records = hostsFileEntry(channel_.get(), request.name, family))
      request.results.insert_or_assign(family, std::move(*records));
  if (request.results.empty()) return false;
  // A name in the file is not looked up elsewhere, as in the C library.
  for (const Family family : request.families)
    request.results.try_emplace(family, std::unexpected(failureOf(ARES_ENODATA, {})));
  return true;
}

void Resolver::Impl::resolve(std::string name, Families families, Callback callback) {
  Request request{.name = std::move(name), .callback = std::move(callback), .families = {}, .results = {}};
  if (families != Families::v6) request.families.push_back(Family::v4);
  if (families != Families::v4) request.families.push_back(Family::v6);
  if (requests_.size() >= kMaxInFlight) return waiting_.push_back(std::move(request));
  begin(std::move(request));
  armTimer();
}

void Resolver::Impl::begin(Request&& request) {
  const std::uint64_t id = nextRequest_++;
  Request& placed = requests_.try_emplace(id, std::move(request)).first->second;
  if (fromHostsFile(placed)) return finished_.push_back(id);
  for (const Family family : placed.families) ask(id, placed, family);
}

void Resolver::Impl::ask(std::uint64_t id, const Request& request, Family family) {
  const auto callback = [](void* argument, int status, int, unsigned char* message, int size) {
    const std::unique_ptr<Question> question{static_cast<Question*>(argument)};
    question->resolver.onAnswer(*question, status, {message, message == nullptr ? 0 : static_cast<std::size_t>(size)});
  };
  auto question = std::make_unique<Question>(*this, id, family);
  const int type = family == Family::v4 ? kTypeA : kTypeAaaa;
  // ares_search() would try search domains for dotted names as well if resolv.conf sets `ndots`.
  const bool dotted = request.name.find('.') != std::string::npos;
  (dotted ? ares_query : ares_search)(channel_.get(), request.name.c_str(), kClassIn, type, callback,
                                      question.release());
}

void Resolver::Impl::onAnswer(const Question& question, int status, std::span<const std::uint8_t> message) {
  if (dropping_) return;
  FamilyResult result = std::unexpected(ResolveError{});
  // Cleared in any case: an error from an earlier server has nothing to do with the next query.
  const std::string socketError = sockets_.takeError();
  if (status != ARES_SUCCESS) {
    result = std::unexpected(failureOf(status, socketError));
  } else if (auto records = readAnswer(message, question.family); !records) {
    result = std::unexpected(ResolveError{ResolveFailure::refused, "answer rejected: " + records.error()});
  } else if (records->addresses.empty()) {
    result = std::unexpected(failureOf(ARES_ENODATA, {}));
  } else {
    result = std::move(*records);
  }
  const auto request = requests_.find(question.request);
  if (request == requests_.end()) return;
  request->second.results.insert_or_assign(question.family, std::move(result));
  if (request->second.done()) finished_.push_back(question.request);
}

void Resolver::Impl::onSocket(int descriptor, bool readable, bool writable) const {
  if (!readable && !writable) return poller_.unwatch(descriptor);
  (void)poller_.rewatch(descriptor, (readable ? EPOLLIN : 0U) | (writable ? EPOLLOUT : 0U),
                        static_cast<std::uint64_t>(descriptor));
}

void Resolver::Impl::process() {
  sockets_.beginRound();
  std::array<epoll_event, 16> ready{};
  for (const epoll_event& event : poller_.ready(ready)) {
    const auto descriptor = static_cast<int>(event.data.u64);
    if (descriptor == timer_.descriptor()) {
      timer_.acknowledge();
      continue;
    }
    const bool writable = (event.events & EPOLLOUT) != 0;
    const bool readable = (event.events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0;
    ares_process_fd(channel_.get(), readable ? descriptor : ARES_SOCKET_BAD, writable ? descriptor : ARES_SOCKET_BAD);
  }
  // This also handles timeouts.
  ares_process_fd(channel_.get(), ARES_SOCKET_BAD, ARES_SOCKET_BAD);
  deliver();
  if (!closed_) armTimer();
}

void Resolver::Impl::deliver() {
  std::vector<Request> done;
  for (const std::uint64_t id : std::exchange(finished_, {})) done.push_back(std::move(requests_.extract(id).mapped()));
  for (; !waiting_.empty() && requests_.size() < kMaxInFlight; waiting_.pop_front()) begin(std::move(waiting_.front()));
  for (const Request& request : done) {
    if (closed_) return;
    request.callback(combine(request.results, options_.isOwn));
  }
}

void Resolver::Impl::armTimer() {
  using namespace std::chrono;
  // Never inside resolve(): its caller may not expect a callback yet.
  if (!finished_.empty()) return timer_.arm(nanoseconds{1});
  timeval left{};
  if (ares_timeout(channel_.get(), nullptr, &left) == nullptr) return timer_.disarm();
  // One more, because c-ares counts in whole milliseconds and would be called too early.
  timer_.arm(seconds{left.tv_sec} + microseconds{left.tv_usec} + milliseconds{1});
}

Resolver::Resolver(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Resolver::Resolver(Resolver&&) noexcept = default;
Resolver& Resolver::operator=(Resolver&& other) noexcept {
  if (this == &other) return *this;
  if (impl_) impl_->close();
  impl_ = std::move(other.impl_);
  return *this;
}
Resolver::~Resolver() {
  if (impl_) impl_->close();
}

Result<Resolver> Resolver::create(ResolverOptions options) {
  static const int initialised = ares_library_init(ARES_LIB_INIT_ALL);
  if (initialised != ARES_SUCCESS) return fail(ErrorKind::io, std::string{"c-ares: "} + ares_strerror(initialised));
  auto poller = os::Poller::create();
  if (!poller) return std::unexpected(poller.error());
  auto timer = os::Timer::create();
  if (!timer) return std::unexpected(timer.error());
  auto impl = std::make_shared<Impl>(std::move(options), std::move(*poller), std::move(*timer));
  if (const Status started = impl->start(); !started) return std::unexpected(started.error());
  return Resolver{std::move(impl)};
}

void Resolver::resolve(std::string name, Families families, Callback callback) {
  impl_->resolve(std::move(name), families, std::move(callback));
}
Status Resolver::reload() { return impl_->reload(); }
int Resolver::descriptor() const { return impl_->descriptor(); }
const std::string& Resolver::trouble() const { return impl_->trouble(); }
void Resolver::process() {
  const auto held = impl_;
  held->process();
}

}  // namespace wgsteer::dns
