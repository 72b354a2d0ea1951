#!/bin/sh
# kernels.sh ARCH[:SUITE]…: put Debian's stock kernel for each architecture (amd64,
# arm64, riscv64) under ${PE_CACHE:-.cache}/kernels/ARCH, unpacked as by
# `dpkg -x`, with modules.dep made by depmod and the package's name and
# version in the file `package`. With the name of a suite (bookworm, trixie) it
# is that suite's kernel, under kernels/ARCH-SUITE.
#
# Needs apt-get, dpkg-deb and depmod, and no root: apt runs on a private state
# directory, so the machine's own architectures, sources and lists are neither
# used nor changed. The mirror's address is the one that the machine's own apt
# is configured with; where that is not a Debian mirror (Ubuntu), or to use
# another one, set PE_DEBIAN_MIRROR (and PE_DEBIAN_SECURITY_MIRROR).
#
# A kernel that is there is kept, without asking the mirror. Set
# PE_KERNELS_REFRESH=1 to look for a newer one.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

say() { printf 'kernels: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# shellcheck source=deploy/debian.sh
. "$here/debian.sh"

# metapackage_of ARCH: riscv64 has no cloud flavour.
metapackage_of() {
	case $1 in
	riscv64) echo linux-image-riscv64 ;;
	*) echo "linux-image-cloud-$1" ;;
	esac
}

# fetch ARCH SUITE INTO leaves the kernel package unpacked in the folder INTO.
fetch() {
	arch=$1 suite=$2 into=$3 state=$3.apt
	mkdir -p "$state/lists/partial" "$state/archives/partial" "$state/deb"
	: >"$state/status"
	set -- -qq \
		-oAPT::Architecture="$arch" -oAPT::Architectures="$arch" \
		-oDir::State="$state" -oDir::State::Lists="$state/lists" -oDir::State::status="$state/status" \
		-oDir::Cache="$state" -oDir::Cache::archives="$state/archives" \
		-oDir::Etc::SourceList="$state/sources.list" -oDir::Etc::SourceParts=/dev/null \
		-oDir::Etc::PreferencesParts=/dev/null \
		-oAcquire::IndexTargets::deb::DEP-11::DefaultEnabled=false \
		-oAPT::Sandbox::User= -oAcquire::Retries=3
	write_sources "$state/sources.list" "$suite" yes
	if ! apt-get "$@" update; then
		# A mirror in the middle of its synchronisation; the point release will do.
		say "$arch: no usable index of $suite-security, going on without it"
		write_sources "$state/sources.list" "$suite" no
		again apt-get "$@" update
	fi
	package=$(apt-cache "$@" depends --no-recommends --no-suggests "$(metapackage_of "$arch")" |
		awk '$1 == "Depends:" && $2 ~ /^linux-image-/ { print $2; exit }')
	[ -n "$package" ] || die "$(metapackage_of "$arch") names no kernel package for $arch"
	say "$arch: fetching $package"
	(cd "$state/deb" && again apt-get "$@" download "$package")
	dpkg-deb -x "$state"/deb/*.deb "$into"
	dpkg-deb -W "$state"/deb/*.deb >"$into/package"
	rm -rf "$state"
}

# index writes modules.dep, which a package's own scripts would make.
index() {
	# From trixie on, modules are under usr/lib; depmod and readers of the
	# cache look in lib.
	[ -e "$1/lib" ] || ln -s usr/lib "$1/lib"
	for modules in "$1"/lib/modules/*; do
		depmod -b "$1" "${modules##*/}"
	done
}

# one ARCH[:SUITE]
one() {
	suite=$(suite_of "${1%%:*}")
	name=${1%%:*}
	case $1 in *:*) suite=${1#*:} name=${1%%:*}-${1#*:} ;; esac
	set -- "${1%%:*}" "$suite"
	target=$cache/$name
	if [ -s "$target/package" ] && [ -z "${PE_KERNELS_REFRESH:-}" ]; then
		say "$name: have $(tr '\t' ' ' <"$target/package")"
		return
	fi
	# Made aside and renamed, so that a broken download is never taken for a kernel.
	new=$cache/.$name.$$
	trap 'rm -rf "$new" "$new.apt"' EXIT
	trap 'exit 130' INT TERM
	mkdir -p "$new"
	fetch "$1" "$2" "$new"
	index "$new"
	rm -rf "$target"
	mv "$new" "$target"
	say "$name: $(tr '\t' ' ' <"$target/package")"
}

[ $# -gt 0 ] || die "usage: kernels.sh amd64|arm64|riscv64[:SUITE]…"
# depmod is in sbin, which a user's PATH may lack.
PATH=$PATH:/usr/sbin:/sbin
for tool in apt-get:apt dpkg-deb:dpkg depmod:kmod; do
	command -v "${tool%:*}" >/dev/null || die "${tool%:*} is missing: install the package ${tool#*:}"
done
cache=${PE_CACHE:-$(dirname "$0")/../.cache}/kernels
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
for a in "$@"; do
	one "$a"
done
