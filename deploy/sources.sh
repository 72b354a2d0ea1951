#!/bin/sh
# sources.sh PACKAGE…: put Debian's source packages, as the archive has them,
# under ${PE_CACHE:-.cache}/sources/PACKAGE: NAME.orig.tar.* and the rest. The
# end-to-end tests build real programs from them.
#
# Needs apt-get, and no root: apt runs on a private state directory with a
# deb-src line of its own, so the machine's sources and lists are neither used
# nor changed. The mirror's address is the one that the machine's own apt is
# configured with; where that is not a Debian mirror (Ubuntu), or to use another
# one, set PE_DEBIAN_MIRROR.
#
# Sources that are there are kept, without asking the mirror.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

say() { printf 'sources: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# shellcheck source=deploy/debian.sh
. "$here/debian.sh"

# fetch INTO PACKAGE… leaves each package's files in a folder of its name.
fetch() {
	into=$1
	shift
	state=$into/.apt
	mkdir -p "$state/lists/partial" "$state/archives/partial"
	: >"$state/status"
	write_sources "$state/sources.list" bookworm no deb-src
	set -- "$@" -- -qq \
		-oDir::State="$state" -oDir::State::Lists="$state/lists" -oDir::State::status="$state/status" \
		-oDir::Cache="$state" -oDir::Cache::archives="$state/archives" \
		-oDir::Etc::SourceList="$state/sources.list" -oDir::Etc::SourceParts=/dev/null \
		-oDir::Etc::PreferencesParts=/dev/null \
		-oAPT::Sandbox::User= -oAcquire::Retries=3
	packages=
	while [ "$1" != -- ]; do
		packages="$packages $1"
		shift
	done
	shift
	again apt-get "$@" update
	for package in $packages; do
		say "fetching the source of $package"
		mkdir "$into/$package"
		# Verified against the signed index; not unpacked, which would need dpkg-dev.
		(cd "$into/$package" && again apt-get "$@" --download-only source "$package")
	done
	rm -rf "$state"
}

[ $# -gt 0 ] || die "usage: sources.sh PACKAGE…"
command -v apt-get >/dev/null || die "apt-get is missing: install the package apt"
cache=${PE_CACHE:-$(dirname "$0")/../.cache}/sources
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
absent=
for package in "$@"; do
	case $package in *[!a-z0-9.+-]* | '' | -*) die "no package name: $package" ;; esac
	[ -d "$cache/$package" ] || absent="$absent $package"
done
[ -n "$absent" ] || exit 0
# Made aside and renamed, so that a broken download is never taken for a source.
new=$cache/.new.$$
trap 'rm -rf "$new"' EXIT
trap 'exit 130' INT TERM
mkdir "$new"
# shellcheck disable=SC2086 # a list of package names
fetch "$new" $absent
for package in $absent; do
	mv "$new/$package" "$cache/$package"
done
