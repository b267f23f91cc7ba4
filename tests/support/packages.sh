# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The packages that a bare Debian 12 needs; installs those that are missing.

# For the scripts that are sourced after this file.
# shellcheck disable=SC2034
readonly kBuildPackages=(
  g++ cmake ninja-build pkg-config ccache file
  libc-ares-dev libmnl-dev libnftnl-dev libspdlog-dev libfmt-dev libtomlplusplus-dev nlohmann-json3-dev
)
readonly kDemoPackages=(wireguard-go wireguard-tools nftables iproute2 iputils-ping procps util-linux)
readonly kTestPackages=(
  "${kDemoPackages[@]}"
  libnl-3-dev libnl-genl-3-dev libnl-route-3-dev libgtest-dev libgmock-dev
  dnsmasq-base unbound iptables dbus firewalld ufw bird2 frr keepalived crun golang-github-containers-common
  strongswan-starter strongswan-charon libcharon-extra-plugins
  kmod busybox-static cpio qemu-system-x86 binutils lz4 zstd xz-utils clang-format-19 clang-tidy-19
  cppcheck shellcheck python3 strace
  chromium
  libfaketime prometheus lintian dpkg-dev systemd man-db zsh
)

installed() { # PACKAGE
  [[ $(dpkg-query --show --showformat '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

# Installs packages; reports those that this distribution lacks and installs the rest.
install_missing() { # PACKAGE...
  local package missing=() available=()
  for package in "$@"; do
    installed "$package" || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  command -v apt-get >/dev/null || {
    echo "not a Debian system; please install: ${missing[*]}" >&2
    return 1
  }
  ((EUID == 0)) || {
    echo "root is needed to install: ${missing[*]}" >&2
    return 1
  }
  echo "installing ${missing[*]}"
  apt-get update -qq || true
  for package in "${missing[@]}"; do
    if apt-cache show "$package" >/dev/null 2>&1; then
      available+=("$package")
    else
      echo "this distribution has no package $package" >&2
    fi
  done
  ((${#available[@]} == 0)) || (install_idle "${available[@]}")
  ((${#available[@]} == ${#missing[@]}))
}

# Keeps service packages from starting their services (a firewall among them): the tests start their own instances or
# need only a tool from the package. Must run in a subshell.
install_idle() { # PACKAGE...
  local service policy=/usr/sbin/policy-rc.d
  if [[ ! -e $policy ]]; then
    # invoke-rc.d and deb-systemd-invoke consult this.
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >/dev/null
  for service in unbound prometheus firewalld bird frr keepalived strongswan-starter; do
    [[ " $* " != *" $service"* || ! -d /run/systemd/system ]] || systemctl disable --quiet "$service.service"
  done
}
