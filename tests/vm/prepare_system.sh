#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Builds a minimal Debian with systemd, once, and prints the path of a cpio archive with it. The archive has one member,
# /system.tar, which guest/init unpacks and uses as the root file system.
#
#   prepare_system.sh [PACKAGE]...      additional packages, with their dependencies
#
# Packages are unpacked but not configured: that needs neither root nor a chroot, and nothing here depends on their
# scripts. dpkg lists all of them as installed, so that it installs, upgrades and removes our package as usual.
#
# Exit status: 0 ready, 77 the packages cannot be downloaded (the reason is on stderr).
set -euo pipefail

cache=${WGSTEER_VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/wgsteer-vm}

packages=(
  base-files base-passwd bash coreutils dash debianutils diffutils dpkg findutils grep gzip hostname init-system-helpers libc-bin
  login mawk mount passwd perl-base procps sed systemd systemd-sysv tar usr-is-merged util-linux
  iproute2 iputils-ping nftables wireguard-tools
  libc-ares2 libfmt9 libmnl0 libnftnl11 libspdlog1.10 libstdc++6
  # Neighbours; none of them is started automatically.
  udev dnsmasq-base network-manager dbus ifupdown isc-dhcp-client dhcpcd-base netplan.io
  "$@"
)

# Downloads the packages and all dependencies, as for a machine without any package installed.
download() { # FOLDER
  mkdir -p "$1/partial"
  : >"$1/status"
  apt-get install --yes --download-only --no-install-recommends -o Dir::State::status="$1/status" \
    -o Dir::Cache::archives="$1" -o Debug::NoLocking=1 -o APT::Sandbox::User= "${packages[@]}" >"$1/apt.log" 2>&1 || {
    sed 's/^/vm: apt-get: /' "$1/apt.log" | tail -n 20 >&2
    return 1
  }
}

unpack() { # ARCHIVE ROOT
  local name information=$2/var/lib/dpkg/info
  name=$(dpkg-deb --field "$1" Package)
  [[ $(dpkg-deb --field "$1" Multi-Arch) != same ]] || name+=:$(dpkg-deb --field "$1" Architecture)
  dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --keep-directory-symlink --exclude='./usr/share/doc/*' \
    --exclude='./usr/share/man/*' --exclude='./usr/share/locale/*' --exclude='./usr/lib/udev/hwdb.d/*' \
    --exclude='./usr/lib/*/gconv/*' --no-same-owner
  # The scripts and debconf templates needed to configure it later.
  dpkg-deb --control "$1" "$2.control"
  local script
  for script in postinst config templates; do
    [[ ! -f $2.control/$script ]] || cp "$2.control/$script" "$information/$name.$script"
  done
  rm -rf "$2.control"
  dpkg-deb --fsys-tarfile "$1" | tar -t | sed 's#^\./#/#; s#\(.\)/$#\1#; s#^/$#/.#' >"$information/$name.list"
  {
    dpkg-deb --field "$1" | sed '1a Status: install ok installed'
    echo
  } >>"$2/var/lib/dpkg/status"
}

build() { # DESTINATION
  local work=$1.new archive
  rm -rf "$work"
  mkdir -p "$work/root"/usr/{bin,sbin,lib,lib64} "$work/root"/{dev,etc,proc,run,sys,test,tmp} \
    "$work/root"/var/lib/dpkg/{info,updates,triggers}
  # Merged /usr, as in Debian 12 and later.
  local folder
  for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$work/root/$folder"; done
  ln -s ../run "$work/root/var/run"
  download "$work/archives" || exit 77
  : >"$work/root/var/lib/dpkg/status"
  for archive in "$work"/archives/*.deb; do unpack "$archive" "$work/root"; done
  cp "$work/root/usr/share/base-passwd/passwd.master" "$work/root/etc/passwd"
  cp "$work/root/usr/share/base-passwd/group.master" "$work/root/etc/group"
  # Without a machine ID, systemd assumes the first boot and prompts for settings.
  echo 77677374656572000000000000000001 >"$work/root/etc/machine-id"
  echo "wgsteer" >"$work/root/etc/hostname"
  # No maintainer script has run: awk needs its link, and without ld.so.cache libraries are just found more slowly.
  ln -s /usr/bin/mawk "$work/root/usr/bin/awk"
  tar -c -C "$work/root" --owner=0 --group=0 . >"$work/system.tar"
  (cd "$work" && echo system.tar | busybox cpio -o -H newc 2>/dev/null) >"$work/system.cpio"
  rm -rf "$work/root" "$work/archives" "$work/system.tar"
  mv "$work" "$1"
}

main() {
  local folder
  mkdir -p "$cache"
  exec 9>"$cache/lock"
  flock 9
  folder=$cache/system-$({ cat "${BASH_SOURCE[0]}" && echo "${packages[@]}"; } | sha256sum | cut -c 1-16)
  [[ -d $folder ]] || build "$folder"
  touch "$folder"
  echo "$folder/system.cpio"
}

main
