# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2154 # case_results is set by lib.sh
#
# systemd-nspawn containers: each has its own root file system with the machine's /usr and its own enabled units.

container_root() { # NAME UNIT-TO-START...
  local root=/srv/$1 folder unit
  shift
  rm -rf "$root"
  mkdir -p "$root"/{dev,proc,root,run,sys,tmp,usr,var/lib,var/log}
  for folder in bin lib lib64 sbin; do ln -s "usr/$folder" "$root/$folder"; done
  ln -s ../run "$root/var/run"
  cp -a /etc "$root/etc"
  # systemd-nspawn reads os-release before /usr is mounted.
  cp --remove-destination /usr/lib/os-release "$root/etc/os-release"
  rm -rf "$root"/etc/{resolv.conf,systemd/network,systemd/system}
  # Without a machine ID, systemd would prompt for first-boot settings.
  tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
  mkdir -p "$root"/etc/systemd/{network,system/multi-user.target.wants}
  for unit; do ln -s "/lib/systemd/system/$unit" "$root/etc/systemd/system/multi-user.target.wants/$unit"; done
  # The console is not used.
  ln -s /dev/null "$root/etc/systemd/system/console-getty.service"
}

# Boots a complete system, like machinectl(1).
container_up() { # NAME OPTION...
  systemd-run --quiet --collect --unit "container-$1" --property=KillMode=mixed --property=Type=notify \
    --property=Delegate=yes systemd-nspawn --quiet --keep-unit --machine="$1" --directory="/srv/$1" --bind-ro=/usr \
    --boot --notify-ready=yes --network-veth "${@:2}" >>"$case_results/containers" 2>&1 ||
    fail "container $1: $(journalctl --unit "container-$1" --output cat | tail -n 20)"
}

container_down() { # NAME
  machinectl poweroff "$1"
  await 60 "container $1 has ended" container_is_gone "$1"
}

container_is_gone() { [[ ! -e /sys/class/net/ve-$1 ]] && ! systemctl --quiet is-active "container-$1.service"; }

leader() { machinectl show --property Leader --value "$1"; } # NAME

# Runs a command as the container's root, in all of its namespaces.
inside() { # NAME COMMAND...
  nsenter --all --target "$(leader "$1")" "${@:2}"
}

# The machine's networkd has given the container's networkd an address.
container_has_address() { [[ $(inside "$1" ip -4 route show default dev host0) == *via* ]]; } # NAME

# Runs a single process, which ends on SIGTERM.
process_container_up() { # NAME
  systemd-nspawn --quiet --register=no --machine="$1" --directory="/srv/$1" --bind-ro=/usr --network-veth --console=pipe \
    --as-pid2 sleep infinity </dev/null >>"$case_results/containers" 2>&1 &
  process_container=$!
  await 20 "container $1" test -e "/sys/class/net/ve-$1"
}

process_container_down() { # NAME
  kill "$process_container"
  wait "$process_container" || true
  await 20 "container $1 has ended" test ! -e "/sys/class/net/ve-$1"
}
