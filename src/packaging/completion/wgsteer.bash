# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Verbs and options come from `wgsteer --help`, names of WANs from the daemon.

_wgsteer() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} verb=${COMP_WORDS[1]} candidates=''
  if ((COMP_CWORD == 1)); then
    candidates=$(wgsteer --help 2>/dev/null | sed -n 's/^  \([a-z]*\) .*/\1/p')
  else
    case $before in
      -c | --config | -n | --network | -x | --textfile)
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        return
        ;;
      -t | --to) candidates='toml uci' ;;
      -m | --mark | -f | --from | -a | --mac | -d | --dscp | -r | --reason) return ;;
      -p | --proto) candidates='tcp udp icmp icmpv6 esp gre sctp' ;;
      -i | --in) candidates=$(_wgsteer_devices) ;;
      wan) candidates=$(_wgsteer_wans) ;;
      import) candidates=mwan3 ;;
      *)
        if [[ $word == -* ]]; then
          candidates=$(wgsteer "$verb" --help 2>/dev/null | sed -n 's/^  -., \(--[a-z]*\).*/\1/p')
        elif [[ $verb == wan && $COMP_CWORD == 3 ]]; then
          candidates='up down auto'
        fi
        ;;
    esac
  fi
  mapfile -t COMPREPLY < <(compgen -W "$candidates" -- "$word")
}

_wgsteer_devices() { (cd /sys/class/net 2>/dev/null && printf '%s\n' *); }

_wgsteer_wans() {
  wgsteer metrics 2>/dev/null | sed -n 's/^wgsteer_wan_up{wan="\([^"]*\)".*/\1/p' | sort -u
}

complete -F _wgsteer wgsteer
