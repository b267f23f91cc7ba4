// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/sysctl_files.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

#include "netlink/wire.hpp"
#include "os/fd.hpp"

namespace wgsteer::kernel {

namespace {

std::string pathOf(const Sysctl& sysctl) {
  const std::string family = sysctl.kind == SysctlKind::ignoreLinkdown6 ? "ipv6" : "ipv4";
  const std::string name = sysctl.kind == SysctlKind::srcValidMark ? "src_valid_mark" : "ignore_routes_with_linkdown";
  return "/proc/sys/net/" + family + "/conf/" + sysctl.device + "/" + name;
}

}  // namespace

Status writeSysctl(const Sysctl& sysctl, bool on) {
  const os::Fd file{::open(pathOf(sysctl).c_str(), O_WRONLY | O_CLOEXEC)};
  const char value = on ? '1' : '0';
  // ENOENT: the device is gone. EROFS: read-only, as in a container.
  if (file && ::write(file.get(), &value, 1) == 1) return {};
  const int code = errno;
  return netlink::failWith(code, "sysctl -w " + sysctl.name() + "=" + value);
}

unsigned readNumber(const std::string& path) {
  const os::Fd file{::open(("/proc/sys/net/" + path).c_str(), O_RDONLY | O_CLOEXEC)};
  std::array<char, 16> text{};
  if (!file) return 0;
  const ssize_t size = ::read(file.get(), text.data(), text.size());
  unsigned value = 0;
  if (size > 0) std::from_chars(text.data(), text.data() + size, value);
  return value;
}

}  // namespace wgsteer::kernel
