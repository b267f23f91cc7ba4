#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# sdk.sh: configures the package's sources, as its Makefile copies them, like OpenWrt's cmake.mk. Of each library it
# provides only what the feeds stage: headers and a .pc file. Nothing is compiled or linked.

# shellcheck source=tests/openwrt/lib.sh
. "$(dirname "$0")/lib.sh"
for program in cmake ninja pkg-config; do command -v $program > /dev/null || skip "no $program"; done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What Build/Prepare copies.
parts=$(made wgsteer PKG_FILE_DEPENDS)
mkdir -p "$work/source"
for part in $parts; do cp -R "$part" "$work/source/" || fail "the Makefile names $part, which does not exist"; done

# LIBRARY HEADER...: stages a library like Build/InstallDev of its feed.
staging=$work/staging
staged() {
	name=$1
	shift
	version=$(pkg-config --modversion "$name") || skip "no $name"
	mkdir -p "$staging/usr/include" "$staging/usr/lib/pkgconfig"
	for header in "$@"; do
		found=
		for folder in /usr/include "/usr/include/$(gcc -print-multiarch)"; do
			[ -e "$folder/$header" ] || continue
			found=$folder/$header
			mkdir -p "$(dirname "$staging/usr/include/$header")"
			cp -RL "$found" "$staging/usr/include/$header"
			break
		done
		[ -n "$found" ] || fail "no header $header"
	done
	# shellcheck disable=SC2016
	printf 'prefix=%s/usr\nName: %s\nDescription: staged\nVersion: %s\nLibs: -L${prefix}/lib -l%s\nCflags: -I${prefix}/include\n' \
		"$staging" "$name" "$version" "${name#lib}" > "$staging/usr/lib/pkgconfig/$name.pc"
	# pkg_check_modules checks that the library file exists.
	: > "$staging/usr/lib/lib${name#lib}.so"
}
staged libmnl libmnl
staged libnftnl libnftnl
staged libcares ares.h ares_version.h ares_build.h
staged nlohmann_json nlohmann/json.hpp nlohmann/json_fwd.hpp
# The feed's .pc file for nlohmann_json has no Libs line.
sed -i '/^Libs:/d' "$staging/usr/lib/pkgconfig/nlohmann_json.pc"
rm "$staging/usr/lib/libnlohmann_json.so"

# Like cmake.mk, except for the compiler, and without the packages that happen to be installed on this machine.
configured() {
	rm -rf "$work/build"
	# shellcheck disable=SC2046
	PKG_CONFIG_LIBDIR=$staging/usr/lib/pkgconfig cmake -G Ninja -S "$work/source" -B "$work/build" --no-warn-unused-cli \
		-DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_VERSION=1 "-DCMAKE_SYSTEM_PROCESSOR=$(uname -m)" -DCMAKE_BUILD_TYPE=Release \
		"-DCMAKE_FIND_ROOT_PATH=$staging/usr" -DCMAKE_FIND_ROOT_PATH_MODE_PROGRAM=NEVER -DCMAKE_FIND_ROOT_PATH_MODE_LIBRARY=ONLY \
		-DCMAKE_FIND_ROOT_PATH_MODE_INCLUDE=ONLY -DCMAKE_FIND_ROOT_PATH_MODE_PACKAGE=ONLY -DCMAKE_INSTALL_PREFIX=/usr \
		"-DCMAKE_PREFIX_PATH=$staging" -DCMAKE_SKIP_RPATH=TRUE \
		$(made wgsteer CMAKE_OPTIONS) > "$work/said" 2>&1
}
configured || fail "$(cat "$work/said")"
# All input files must exist; with -n, ninja only prints what it would do.
ninja -C "$work/build" -n > "$work/said" 2>&1 || fail "$(tail -n 3 "$work/said")"
for source in daemon/status.cpp dns/resolver.cpp nft/batch.cpp netlink/wire.cpp; do
	command=$(ninja -C "$work/build" -t commands wgsteer | grep -- "-c .*/src/$source\$") || fail "$source is not compiled"
	case $command in
		*" $staging/usr/include "*) ;;
		*) fail "$source does not see the staged headers: $command" ;;
	esac
	case $command in
		*" /usr/include"*) fail "$source sees this machine's headers: $command" ;;
	esac
done

# No library may be found anywhere else.
for name in libmnl libnftnl libcares nlohmann_json; do
	mv "$staging/usr/lib/pkgconfig/$name.pc" "$work/"
	! configured || fail "it is configured without $name"
	grep -q "$name" "$work/said" || fail "the error does not mention $name: $(cat "$work/said")"
	mv "$work/$name.pc" "$staging/usr/lib/pkgconfig/"
done
