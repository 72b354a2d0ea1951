#!/bin/sh
# setup.sh [--for run|demo|up|test|bench] [--dry-run]: put on this machine what
# Program Explorer needs, each level with all that the levels before it have:
#
#   run    serve jobs in virtual machines: QEMU, a guest kernel, the guest
#   demo   and build the example images from Debian packages
#   up     and have machines and images of three architectures, a choice of kernels,
#          gVisor and a runtime for containers
#   test   and run every test: an S3 server, a browser, linters
#   bench  and what `make bench` compares with and measures on: containers, filesystems
#
# For Debian 12 and 13, Ubuntu 22.04 and 24.04. Root, or sudo, is used for
# packages and for nothing else, after saying which and why; the mirrors are
# those that this machine's apt is configured with. All other things that are
# fetched or made lie under ${PE_CACHE:-.cache}. What is there already is kept,
# so running it again costs a second.
set -eu

repo=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cache=${PE_CACHE:-$repo/.cache}
versitygw_version=v1.8.0
staticcheck_version=v0.8.2
gotestsum_version=v1.13.0
runsc_version=v0.0.0-20260905035102-160fafc42237

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; }

# own is this machine's architecture, the one that is served at every level.
case $(uname -m) in
aarch64 | arm64) own=arm64 ;;
riscv64) own=riscv64 ;;
*) own=amd64 ;;
esac

at() { if [ "$1" = "$own" ]; then echo run; else echo up; fi; }

# packages is the table of what is installed: level, package (or alternatives,
# of which the first that apt knows is taken), what shows that it is there
# (commands, or absolute paths; one of them is enough), and why.
packages() {
	cat <<-TABLE
		run   ca-certificates             /etc/ssl/certs/ca-certificates.crt  images are pulled over TLS
		$(at amd64)  qemu-system-x86      qemu-system-x86_64                  runs amd64 machines
		$(at arm64)  qemu-system-arm      qemu-system-aarch64                 runs arm64 machines
		$(at riscv64)  qemu-system-riscv,qemu-system-misc  qemu-system-riscv64  runs riscv64 machines
		run   debian-archive-keyring      /usr/share/keyrings/debian-archive-keyring.gpg  verifies the guest's kernel package
		run   kmod                        depmod                              orders the guest kernel's modules
		run   xz-utils                    xz                                  unpacks kernels and packages
		demo  mmdebstrap                  mmdebstrap                          unpacks Debian packages into images
		demo  zstd                        zstd                                unpacks packages and opens a job's archive
		demo  curl                        curl                                talks to the gateway in examples
		test  erofs-utils                 fsck.erofs                          checks the images that imagesync writes
		test  chromium,chromium-browser   chromium,chromium-browser,google-chrome  proves that a job's HTML output cannot run script
		test  e2fsprogs                   mkfs.ext4                           makes the disk of a machine whose power is cut
		test  shellcheck                  shellcheck                          checks the shell scripts
		test  python3                     python3                             runs the example of a client of the API
		up    runc                        runc                                runs jobs in containers
		bench podman                      podman                              is measured beside
		bench erofs-utils                 mkfs.erofs                          is measured beside
		bench strace                      strace                              counts what waits for the disk
		bench gcc                         gcc                                 is measured beside
		bench libc6-dev                   /usr/include/stdlib.h               is what it compiles against
		bench btrfs-progs                 mkfs.btrfs                          makes a filesystem to measure on
		bench xfsprogs                    mkfs.xfs                            makes a filesystem to measure on
	TABLE
}

# levels prints LEVEL and those before it.
levels() {
	case $1 in
	run) echo run ;;
	demo) echo run demo ;;
	up) echo run demo up ;;
	test) echo run demo up test ;;
	bench) echo run demo up test bench ;;
	*) usage >&2; die "no level $1: want run, demo, up, test or bench" ;;
	esac
}

wanted() { case " $(levels "$level") " in *" $1 "*) return 0 ;; *) return 1 ;; esac; }

is_there() { # COMMANDS-OR-PATHS, comma-separated
	for one in $(echo "$1" | tr , ' '); do
		case $one in
		/*) [ -e "$one" ] && return 0 ;;
		*) command -v "$one" >/dev/null 2>&1 && return 0 ;;
		esac
	done
	return 1
}

# missing prints the lines of the table that are wanted and not there.
missing() {
	packages | while read -r at package shows why; do
		if wanted "$at" && ! is_there "$shows"; then
			echo "$package $why"
		fi
	done
}

# as_root runs a command as root: at once, or by sudo.
as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		command -v sudo >/dev/null || die "this user is not root and there is no sudo: run as root: $*"
		sudo "$@"
	fi
}

installable() {
	LC_ALL=C apt-cache policy "$1" 2>/dev/null | grep -q '^  Candidate: [^(]'
}

# choose prints the first of the alternatives that apt can install.
choose() {
	for one in $(echo "$1" | tr , ' '); do
		if installable "$one"; then
			echo "$one"
			return
		fi
	done
	return 1
}

# resolve prints the package names to install, or nothing if one is unknown to apt.
resolve() {
	names=
	while read -r package _; do
		name=$(choose "$package") || return 1
		names="$names $name"
	done <<-LIST
		$1
	LIST
	echo "$names"
}

apt() {
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -oDpkg::Use-Pty=0 -oAcquire::Retries=3 "$@" ||
		die "apt-get $1 did not work, see above. Is there a network, and is a mirror configured in /etc/apt? Then run this again"
}

install_packages() {
	list=$(missing)
	[ -n "$list" ] || return 0
	say "to be installed, $(if [ "$(id -u)" = 0 ]; then echo as root; else echo 'with sudo (for this step alone)'; fi):"
	echo "$list" | while read -r package why; do
		printf 'setup:   %-26s %s\n' "${package%%,*}" "$why" >&2
	done
	[ -z "$dry_run" ] || return 0
	command -v apt-get >/dev/null || die "no apt-get here: this is for Debian and Ubuntu; install the packages named above by other means"
	# The lists are downloaded only when they don't name what is wanted, or are out of date.
	names=$(resolve "$list") || { apt update; names=$(resolve "$list"); } ||
		die "apt knows no package for one of those: are main (Debian) and universe (Ubuntu) enabled?"
	# shellcheck disable=SC2086 # a list of package names
	install="install --no-install-recommends -y $names"
	# shellcheck disable=SC2086
	if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -oDpkg::Use-Pty=0 $install >/dev/null 2>&1; then
		apt update
		# shellcheck disable=SC2086
		apt $install >/dev/null
	fi
}

check_go() {
	command -v go >/dev/null || die "Go is missing: install Go 1.26 or newer from the Go site, or Debian's backports, and put it into PATH"
	case $(go env GOVERSION) in
	go1.[0-9].* | go1.1[0-9]* | go1.20*) die "$(go version) is too old to fetch the toolchain that go.mod names: install Go 1.26 or newer" ;;
	esac
}

# go_tool NAME MODULE/PATH@VERSION builds a tool into the cache, once for each version. Without cgo:
# runsc starts itself again where there is no C library.
go_tool() {
	stamp=$cache/bin/.$1@${2##*@}
	[ -x "$cache/bin/$1" ] && [ -e "$stamp" ] && return 0
	say "building $1 ${2##*@} into $cache/bin"
	[ -z "$dry_run" ] || return 0
	mkdir -p "$cache/bin"
	CGO_ENABLED=0 GOFLAGS='' GOBIN=$cache/bin go install "$2" || die "$1 did not build, see above: is there a network, or a Go module proxy (go env GOPROXY)?"
	: >"$stamp"
}

# debian_mirror sets PE_DEBIAN_MIRROR where apt has no Debian mirror of its own
# (Ubuntu), to the one that mmdebstrap, which comes from that machine's own
# distribution, uses by default.
debian_mirror() {
	[ -z "${PE_DEBIAN_MIRROR:-}" ] || return 0
	# shellcheck disable=SC2016 # apt's own placeholders, not the shell's
	if apt-get indextargets --format '$(ORIGIN) $(SITE)' 'Created-By: Packages' 2>/dev/null | grep -Eq '^Debian |/debian/?$'; then
		return 0
	fi
	command -v mmdebstrap >/dev/null || die "apt has no Debian mirror configured, which the guest's kernel comes from: set PE_DEBIAN_MIRROR to the address of one"
	PE_DEBIAN_MIRROR=$(sed -n "s|.*['\"]\(https*://[^'\" ]*/debian\)['\"].*|\1|p" "$(command -v mmdebstrap)" | head -n 1)
	[ -n "$PE_DEBIAN_MIRROR" ] || die "apt has no Debian mirror configured: set PE_DEBIAN_MIRROR to the address of one"
	export PE_DEBIAN_MIRROR
	say "no Debian mirror in apt's configuration; kernel and images come from mmdebstrap's default, $PE_DEBIAN_MIRROR"
}

archs() { if wanted up; then echo amd64 arm64 riscv64; else echo "$own"; fi; }

# kernels fetches what is not in the cache; asking the script for each would cost a process each.
# Debian 13's for amd64 makes a choice of two.
kernels() {
	absent=
	for kernel in $(archs) $(if wanted up; then echo amd64:trixie; fi); do
		[ -s "$cache/kernels/$(echo "$kernel" | tr : -)/package" ] || absent="$absent $kernel"
	done
	[ -n "$absent" ] || return 0
	say "fetching guest kernels:$absent"
	[ -z "$dry_run" ] || return 0
	debian_mirror
	# shellcheck disable=SC2086 # a list
	PE_CACHE=$cache "$repo/deploy/kernels.sh" $absent
}

# program makes bin/ped, which packs images and guests, and the guests' init, if nobody has yet.
program() {
	[ -z "$dry_run" ] || return 0
	for made in ped $(archs | sed 's/[^ ]*/guestrd-&/g'); do
		[ -x "$repo/bin/$made" ] || { make -s -C "$repo" build; return; }
	done
}

images() {
	[ -z "$dry_run" ] || { say "building the images gcc, python and busybox for: $(archs), where absent"; return 0; }
	debian_mirror
	PE_CACHE=$cache "$repo/deploy/images/build.sh" --arch "$(archs | tr ' ' ,)" busybox gcc python
	catalog >"$cache/catalog.yaml"
}

# catalog gives the images that lie in the cache their short names, and what
# NAME.catalog beside an image's recipe says of it besides.
catalog() {
	echo "# Made by deploy/setup.sh: the short names of the images beside it."
	echo "images:"
	for layout in "$cache"/images/*/index.json; do
		name=$(basename "$(dirname "$layout")")
		echo "  $name:"
		echo "    reference: oci:images/$name"
		sed -n "s/^description  *\\(.*\\)/    description: \"\\1\"/p" "$repo/deploy/images/$name.recipe" 2>/dev/null || true
		sed 's/^/    /' "$repo/deploy/images/$name.catalog" 2>/dev/null || true
	done
}

# sources are what the end-to-end tests build, and what is compiled to be measured.
sources() {
	absent=
	for package in zlib $(if wanted bench; then echo libzstd; fi); do
		[ -d "$cache/sources/$package" ] || absent="$absent $package"
	done
	[ -n "$absent" ] || return 0
	[ -z "$dry_run" ] || { say "fetching the Debian source packages:$absent"; return 0; }
	debian_mirror
	# shellcheck disable=SC2086 # a list
	PE_CACHE=$cache "$repo/deploy/sources.sh" $absent
}

guests() {
	[ -z "$dry_run" ] || { say "building the guest for: $(archs)"; return 0; }
	for arch in $(archs); do
		make -s -C "$repo" "guest-$arch" PE_CACHE="$cache"
	done
}

level=demo dry_run=
while [ $# -gt 0 ]; do
	case $1 in
	--for)
		[ $# -gt 1 ] || die "--for wants a level: run, demo, up, test or bench"
		level=$2
		shift
		;;
	--for=*) level=${1#--for=} ;;
	--dry-run) dry_run=1 ;;
	-h | --help) usage; exit ;;
	*) usage >&2; die "unknown argument $1" ;;
	esac
	shift
done
levels "$level" >/dev/null
# A user's PATH may lack the folders of depmod and fsck.erofs.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
check_go
install_packages
kernels
if wanted test; then
	go_tool versitygw "github.com/versity/versitygw/cmd/versitygw@$versitygw_version"
	go_tool staticcheck "honnef.co/go/tools/cmd/staticcheck@$staticcheck_version"
	go_tool gotestsum "gotest.tools/gotestsum@$gotestsum_version"
	sources
fi
if wanted up; then
	case $(go env GOARCH) in
	amd64 | arm64) go_tool runsc "gvisor.dev/gvisor/runsc@$runsc_version" ;; # gVisor knows no others
	esac
fi
program
guests
if wanted demo; then images; fi
say "ready for: $level"
