#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Builds, once, what all boots share, and prints its folder. Only Debian packages are used. The folder contains the
# kernel of linux-image-cloud-amd64, unpacked to an ELF image (`vmlinux`), and a root file system (`base.cpio`) with
# busybox and the tools (with their libraries) and modules listed below.
#
#   prepare.sh [--refresh] [--generic] [MODULE]...
#
#   --refresh   ask apt for a newer kernel instead of using the newest in the cache
#   --generic   the kernel of linux-image-amd64, which has PPP, unlike the cloud kernel
#   MODULE      an additional module to load
#
# Exit status: 0 ready, 77 not possible on this machine (the reason is on stderr).
#
# The folder's name consists of the kernel release and a hash of the tools, the modules and this script. So an existing
# folder never changes, and different tools get a different folder. Parallel callers wait for each other.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${WGSTEER_VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/wgsteer-vm}

# The metapackage linux-image-$flavour depends on the versioned kernel package; in the cache, the newest wins.
flavour=cloud-amd64 kernels=$cache/kernel

# What a test script may call besides busybox. Copied from the host, with the libraries that ldd lists.
guest_tools=(bash ip nft ping wg wg-quick)

# Loaded at boot in this order, with their dependencies: loading on demand would run modprobe for each one, in the
# middle of a measurement. Modules built into the kernel are skipped.
guest_modules=(
  wireguard veth dummy tun vrf
  nf_tables nf_conntrack nf_nat nft_chain_nat nft_ct nft_fib_inet nft_hash nft_limit nft_masq nft_nat nft_numgen
  nft_objref nft_reject_inet
)

unavailable() {
  echo "vm: $*" >&2
  exit 77
}

host_tool() {
  command -v "$1" || unavailable "$1 is not installed on this machine (Debian package $2)"
}

check_host() {
  host_tool qemu-system-x86_64 qemu-system-x86
  host_tool busybox busybox-static
  host_tool depmod kmod
  host_tool modprobe kmod
  host_tool strip binutils
  host_tool lz4 lz4
  host_tool zstd zstd
  host_tool xz xz-utils
  host_tool bash bash
  host_tool ip iproute2
  host_tool nft nftables
  host_tool ping iputils-ping
  host_tool wg wireguard-tools
  host_tool wg-quick wireguard-tools
  if ldd "$(command -v busybox)" >/dev/null 2>&1; then
    unavailable "busybox is dynamically linked: install busybox-static"
  fi
}

# Prints the versioned kernel package in the archive, such as linux-image-6.1.0-56-cloud-amd64.
newest_kernel_package() {
  command -v apt-cache >/dev/null || return 1
  apt-cache depends "linux-image-$flavour" 2>/dev/null |
    awk '$1 == "Depends:" && $2 ~ /^linux-image-[0-9]/ { print $2; found = 1; exit } END { exit !found }'
}

# Prints the release (6.1.0-56-cloud-amd64) of the newest kernel in the cache.
newest_cached_release() {
  local releases=()
  local folder
  for folder in "$kernels"-*/; do
    [[ -f $folder/vmlinux ]] || continue
    folder=${folder%/}
    releases+=("${folder#"$kernels"-}")
  done
  ((${#releases[@]})) || return 1
  printf '%s\n' "${releases[@]}" | sort -V | tail -n 1
}

number_at() { # FILE OFFSET BYTES -> the little-endian number at OFFSET
  od -An -t "u$3" -j "$2" -N "$3" "$1" | tr -d ' '
}

# A bzImage decompresses itself at boot, which takes seconds under emulation. The compressed ELF inside it starts after
# the real-mode part (setup_sects) at payload_offset: Documentation/x86/boot.rst. QEMU enters an ELF by its PVH note.
unpack_bzimage() { # BZIMAGE VMLINUX
  local setup_sectors offset length
  setup_sectors=$(number_at "$1" $((0x1f1)) 1)
  offset=$(((setup_sectors + 1) * 512 + $(number_at "$1" $((0x248)) 4)))
  # The last four bytes of the payload are the size of the unpacked image.
  length=$(($(number_at "$1" $((0x24c)) 4) - 4))
  tail -c +$((offset + 1)) "$1" | head -c "$length" >"$2.compressed" || true
  local unpack
  case $(od -An -tx1 -N4 "$2.compressed" | tr -d ' ') in
    02214c18) unpack=(lz4 -dc) ;;
    28b52ffd) unpack=(zstd -dc) ;;
    fd377a58) unpack=(xz -dc) ;;
    1f8b08*) unpack=(gzip -dc) ;;
    *)
      echo "vm: $1: unknown compression" >&2
      return 1
      ;;
  esac
  "${unpack[@]}" <"$2.compressed" >"$2"
  rm "$2.compressed"
}

fetch_kernel() { # PACKAGE
  local package=$1 release=${1#linux-image-} work=$kernels.new
  rm -rf "$work"
  mkdir -p "$work"
  # apt's sandbox user may not be able to write here, which only causes a warning.
  (cd "$work" && apt-get download -qq "$package" >apt.log 2>&1) || {
    sed 's/^/vm: apt-get: /' "$work/apt.log" >&2
    return 1
  }
  dpkg-deb -x "$work"/linux-image-*.deb "$work/root"
  unpack_bzimage "$work/root/boot/vmlinuz-$release" "$work/vmlinux"
  # Newer kernel packages have their modules in /usr/lib because of the /usr merge.
  mkdir -p "$work/lib"
  if [[ -d $work/root/usr/lib/modules ]]; then
    mv "$work/root/usr/lib/modules" "$work/lib/modules"
  else
    mv "$work/root/lib/modules" "$work/lib/modules"
  fi
  # Nine tenths of the modules are drivers for hardware that the guest does not have.
  find "$work/lib/modules/$release/kernel" \( -path '*/kernel/sound' -o -path '*/kernel/drivers/*' ! -path '*/kernel/drivers/net' \
    ! -path '*/kernel/drivers/net/*' \) -prune -exec rm -rf {} +
  depmod -b "$work" "$release"
  rm -rf "$work/root" "$work"/linux-image-*.deb "$work/apt.log"
  rm -rf "$kernels-$release"
  mv "$work" "$kernels-$release"
}

# Paths of the modules to load, in load order.
module_files() { # RELEASE
  local module
  for module in "${guest_modules[@]}"; do
    modprobe -d "$kernels-$1" -S "$1" --show-depends "$module" 2>/dev/null || true
  done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }'
}

copy_with_libraries() { # PROGRAM DESTINATION-ROOT
  local file
  install -D -m 755 "$1" "$2$1"
  while read -r file; do
    [[ -e $2$file ]] || install -D -m 755 "$file" "$2$file"
  done < <(ldd "$1" | grep -o '/[^ ]*' || true)
}

build_base() { # RELEASE DESTINATION-FOLDER
  local release=$1 work=$2.new module file tool
  rm -rf "$work"
  mkdir -p "$work/root"/{bin,dev,etc,lib,modules,proc,results,root,run,sbin,sys,test,tmp,usr/bin,usr/sbin,var/run}
  install -m 755 "$(command -v busybox)" "$work/root/bin/busybox"
  # iproute2 and nft read the names of tables, protocols and services from these.
  for file in /etc/iproute2 /usr/share/iproute2 /etc/protocols /etc/services; do
    [[ -e $file ]] || continue
    mkdir -p "$work/root$(dirname "$file")"
    cp -aL "$file" "$work/root$file"
  done
  for tool in "${guest_tools[@]}"; do
    file=$(command -v "$tool")
    copy_with_libraries "$file" "$work/root"
    # A link in the first folder of the guest's PATH makes the tool win over the busybox applet.
    [[ $(dirname "$file") == /usr/bin ]] || ln -sf "$file" "$work/root/usr/bin/$tool"
  done
  ln -sf "$(command -v bash)" "$work/root/bin/bash"
  while read -r module; do
    file=$(basename "${module%.xz}")
    if [[ $module == *.xz ]]; then
      xz -dc "$module" >"$work/root/modules/$file"
    else
      cp "$module" "$work/root/modules/$file"
    fi
    strip --strip-debug "$work/root/modules/$file"
    echo "/modules/$file" >>"$work/root/modules/load-order"
  done < <(module_files "$release")
  install -m 755 "$here/guest/init" "$work/root/init"
  (cd "$work/root" && find . | LC_ALL=C sort | busybox cpio -o -H newc) >"$work/base.cpio" 2>"$work/cpio.log" || {
    cat "$work/cpio.log" >&2
    return 1
  }
  rm "$work/cpio.log"
  ln "$kernels-$release/vmlinux" "$work/vmlinux"
  echo "$release" >"$work/release"
  rm -rf "$work/root"
  mv "$work" "$2"
}

identity_of_tools() {
  {
    cat "${BASH_SOURCE[0]}" "$here/guest/init"
    echo "${guest_modules[@]}"
    local tool
    for tool in busybox "${guest_tools[@]}"; do
      stat -Lc '%n %s %Y' "$(command -v "$tool")"
    done
  } | sha256sum | cut -c 1-16
}

main() {
  local release='' package='' refresh=''
  while [[ ${1:-} == --* ]]; do
    case $1 in
      --refresh) refresh=yes ;;
      --generic) flavour=amd64 kernels=$cache/generic-kernel ;;
      *) unavailable "$1: unknown option" ;;
    esac
    shift
  done
  guest_modules+=("$@")
  check_host >/dev/null
  mkdir -p "$cache"
  exec 9>"$cache/lock"
  flock 9
  if [[ -n $refresh ]] || ! release=$(newest_cached_release); then
    if package=$(newest_kernel_package); then
      [[ -f $kernels-${package#linux-image-}/vmlinux ]] || fetch_kernel "$package" ||
        unavailable "$package cannot be downloaded (try apt-get update)"
      release=${package#linux-image-}
    else
      release=$(newest_cached_release) || unavailable "apt has no package linux-image-$flavour (try apt-get update)"
    fi
  fi
  local folder
  folder=$cache/$release-$(identity_of_tools)
  if [[ ! -d $folder ]]; then
    build_base "$release" "$folder"
    # Delete folders of earlier tools and scripts that have not been used for a day; folders in use are touched often.
    find "$cache" -mindepth 1 -maxdepth 1 -type d ! -name '*kernel-*' ! -path "$folder" -mtime +0 -exec rm -rf {} +
  fi
  touch "$folder"
  echo "$folder"
}

main "$@"
