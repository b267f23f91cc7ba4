#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Boots a Debian kernel in qemu and runs a test script with our binary in it.
#
#   run.sh [--binary FILE] [--timeout SECONDS] [--results FOLDER] [--only PATTERN] [--file FILE]... [--generic]
#          [--module NAME]... [--system [--package NAME]...] SCRIPT
#
#   --binary FILE      becomes /usr/sbin/wgsteer, with its libraries
#   --timeout SECONDS  of wall clock, for the whole boot (default 240)
#   --results FOLDER   receives the contents of the guest's /results, the console log, and dmesg
#   --only PATTERN     extended regular expression: run only the matching cases of SCRIPT, such as failover or v6
#   --file FILE        also copied to /test/
#   --generic          use the kernel of linux-image-amd64 instead of the cloud kernel, which has no PPP
#   --module NAME      a kernel module to load at boot, with its dependencies
#   --system           boot a Debian with systemd, which runs SCRIPT as a service, instead of just a busybox
#   --package NAME     an extra package for this Debian
#
# Exit status: that of the script; 1 after a panic, a hang or a missing result; 77 if this machine has no qemu or cannot
# get the kernel (with CI=true, 1 instead of 77, so that no skip goes unnoticed).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
binary='' timeout=240 results='' only='' files=() system='' packages=() kernel=() modules=()

usage() {
  sed -n '3,/^set -/{/^set -/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}" >&2
  exit 64
}

while [[ ${1:-} == --* ]]; do
  [[ $1 == --help || $# -lt 2 ]] && usage
  case $1 in
    --system | --generic)
      [[ $1 == --system ]] && system=yes || kernel+=("$1")
      shift
      continue
      ;;
    --binary) binary=$2 ;;
    --timeout) timeout=$2 ;;
    --results) results=$2 ;;
    --only) only=$2 ;;
    --file) files+=("$2") ;;
    --module) modules+=("$2") ;;
    --package) packages+=("$2") ;;
    *) usage ;;
  esac
  shift 2
done
[[ $# -eq 1 ]] || usage
script=$1
[[ -r $script ]] || { echo "vm: $script: script not found" >&2; exit 64; }
[[ -z $binary || -x $binary ]] || { echo "vm: $binary: program not found (is it built?)" >&2; exit 1; }

prepared() { # SCRIPT ARGUMENT... -> what it prints
  local status=0
  "$here/$1" "${@:2}" || status=$?
  [[ $status -ne 77 || ${CI:-} != true ]] || status=1
  return $status
}

base=$(prepared prepare.sh "${kernel[@]}" "${modules[@]}") || exit $?
archives=("$base/base.cpio")
memory=384
if [[ -n $system ]]; then
  archives+=("$(prepared prepare_system.sh "${packages[@]}")") || exit $?
  memory=2048
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/wgsteer-vm.XXXXXX")
trap 'rm -rf "$work"' EXIT

# Files for this run only go into a second archive after the base: the kernel unpacks both, and the later file wins.
root=$work/root
mkdir -p "$root/test"
cp "$here/lib.sh" "$here/guest/session" "$here/guest/wgsteer-test.service" "$root/test/"
cp "$script" "$root/test/script"
((${#files[@]} == 0)) || cp "${files[@]}" "$root/test/"
printf '%s' "$only" >"$root/test/only"
cat >"$root/test/main" <<'MAIN'
. /test/lib.sh
. /test/script
run_cases
MAIN
if [[ -n $binary ]]; then
  install -D -m 755 "$binary" "$root/usr/sbin/wgsteer"
  # Debug data would only cost memory and unpacking time. strip fails if a script stands in for the program.
  if strip --strip-debug "$root/usr/sbin/wgsteer" 2>/dev/null; then
    while read -r library; do
      install -D -m 755 "$library" "$root$library"
    done < <(ldd "$binary" | grep -o '/[^ ]*')
  fi
fi
(cd "$root" && find . | busybox cpio -o -H newc 2>/dev/null) | cat "${archives[@]}" - >"$work/initrd"

# The machine. No KVM, so that it also runs in a container or another virtual machine.
#  - pc without ACPI and PCI boots fastest, because there is nothing to probe (q35: a third slower; microvm: 4 times).
#  - icount ties the guest's clock to executed instructions (2^0 ns each) and sleep=off skips idle time: waiting 5 s for
#    WireGuard's retry costs nothing, and a busy host makes a run longer but never changes what the guest sees.
#  - random.trust_cpu: otherwise reads of random numbers block, because the guest has no other source of entropy.
#  - norandmaps: at a fixed address, the emulator can reuse its translation of a program for the next exec, which makes
#    starting ip, nft and wg three times as fast.
#  - panic=-1 with -no-reboot: a panic ends qemu immediately; the missing result then reveals it.
# shellcheck disable=SC2054 # the commas are qemu's
machine=(
  -machine pc,usb=off,vmport=off,hpet=off -accel tcg -icount shift=0,sleep=off -cpu max,la57=off -smp 1 -m "$memory"
  -nodefaults -no-user-config -display none -no-reboot
)
command_line='console=ttyS0 quiet loglevel=5 panic=-1 oops=panic pci=off acpi=off mitigations=off nokaslr tsc=reliable'
command_line+=' no_timer_check random.trust_cpu=on nowatchdog rcupdate.rcu_cpu_stall_suppress=1'
command_line+=' norandmaps init_on_alloc=0 lsm='

started=$EPOCHREALTIME
# In a session of its own, because a kernel with sched_autogroup compares the nice values of sessions: tests that measure
# real time may run beside this one, and the guest does not notice how slow it is.
# shellcheck disable=SC2016 # its own arguments
setsid bash -c 'echo 19 >/proc/self/autogroup; exec nice -n 19 "$@"' qemu \
  timeout --kill-after=5 "$timeout" qemu-system-x86_64 "${machine[@]}" \
  -kernel "$base/vmlinux" -initrd "$work/initrd" -append "$command_line" \
  -chardev file,id=console,path="$work/console" -serial chardev:console \
  -chardev stdio,id=output,signal=off -serial chardev:output \
  -chardev file,id=results,path="$work/results.tar" -serial chardev:results \
  </dev/null 2>"$work/qemu.log" &
guest=$!
trap 'kill "$guest"; exit 1' INT TERM
qemu_status=0
wait "$guest" || qemu_status=$?
trap - INT TERM
elapsed=$(awk -v a="$started" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }')

mkdir -p "$work/results"
tar -xf "$work/results.tar" -C "$work/results" 2>/dev/null || true
cp "$work/console" "$work/results/console"
if [[ -n $results ]]; then
  mkdir -p "$results"
  cp -r "$work/results/." "$results/"
fi

if [[ ! -f $work/results/exit-status ]]; then
  case $qemu_status in
    124 | 137) echo "vm: no result within $timeout s: hung. The console's last lines:" >&2 ;;
    0) echo "vm: the guest ended without a result (a panic?). The console's last lines:" >&2 ;;
    *) echo "vm: qemu ended with $qemu_status. The console's last lines:" >&2 ;;
  esac
  tail -n 80 "$work/console" "$work/qemu.log" >&2
  exit 1
fi
status=$(<"$work/results/exit-status")
echo "vm: exit status $status after $elapsed s, kernel $(<"$base/release")"
exit "$status"
