#!/bin/sh
# build.sh [--arch ARCH[,ARCH…]] [--out DIR] [--force] [NAME…]: build the images
# whose recipes lie beside this script (all of them when none is named) for
# amd64, arm64 or riscv64, as OCI layout folders DIR/NAME with one image for
# each architecture in a multi-platform index.
#
# No Docker, and nothing of the image is executed: mmdebstrap only unpacks
# Debian packages, and what their maintainer scripts would have made is in the
# recipe, as a second layer. So any architecture builds on any other.
#
# Needs mmdebstrap (with its mmtarfilter), tar, and ped (PED names it; default bin/ped). No root where
# unprivileged user namespaces are allowed. The mirror is the one that this
# machine's apt is configured with, or PE_DEBIAN_MIRROR (and
# PE_DEBIAN_SECURITY_MIRROR). An image whose recipe has not changed is kept;
# --force builds it again with today's packages.
#
# A recipe is a list of lines:
#   description TEXT     goes into the image's labels
#   package NAME…        Debian packages, beside their dependencies
#   link PATH TARGET     a symbolic link
#   applets PATH DIR     links in DIR for every applet of the busybox at PATH
#   drop PATH…           remove from the packages' files
#   env NAME=VALUE       cmd WORD…        label NAME=VALUE
# The files in files/ are put into every image.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
repo=$(dirname -- "$(dirname -- "$here")")
cache=${PE_CACHE:-$repo/.cache}
ped=${PED:-$repo/bin/ped}
# Times in the images are at most this, so that the same packages give the same digest.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1735689600}
export SOURCE_DATE_EPOCH

say() { printf 'images: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# shellcheck source=deploy/debian.sh
. "$here/../debian.sh"

# recipe KEY prints what the recipe's lines of that key say, one line each.
recipe() { sed -n "s/^$1[[:space:]][[:space:]]*//p" "$recipe_file"; }

fetch_packages() { # TAR WITH_SECURITY
	write_sources "$work/sources.list" "$suite" "$2"
	mmdebstrap --quiet --variant=extract --arch="$arch" \
		--include="$(recipe package | tr -s ' \n' ',' | sed 's/,$//')" \
		--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
		--skip=output/dev,check/qemu --aptopt='Acquire::Retries "3"' \
		"$suite" "$1" "$work/sources.list" >&2
}

# unpack_packages TAR: the packages' files without the paths in trimmed.paths and
# those that the recipe drops. mmdebstrap's own path and hook options do nothing
# in its extract variant, so the tar is filtered.
unpack_packages() {
	if ! fetch_packages "$work/all.tar" yes; then
		say "trying again without $suite-security, which not every mirror has whole"
		again fetch_packages "$work/all.tar" no
	fi
	set -- "$1"
	for path in $(sed 's/#.*//' "$here/trimmed.paths") $(recipe drop); do
		set -- "$@" "--path-exclude=$path" "--path-exclude=$path/*"
	done
	tar=$1
	shift
	# The last rule that matches decides.
	mmtarfilter "$@" '--path-include=/usr/share/doc/*/copyright' <"$work/all.tar" >"$tar"
	rm "$work/all.tar"
}

# second_layer TAR PACKAGES_TAR: the common files and the recipe's links. Folders
# have their real names (usr/bin, not bin), or they would replace the links that
# a merged /usr consists of.
second_layer() {
	root=$work/second
	mkdir "$root"
	cp -R "$here/files/." "$root/"
	recipe link | while read -r path target; do
		mkdir -p "$root/$(dirname "$path")"
		ln -s "$target" "$root/$path"
	done
	recipe applets | while read -r path dir; do
		tar -xOf "$2" "./${path#/}" >"$work/busybox" || die "no $path in the packages of $name"
		applet_names "$work/busybox" >"$work/applets"
		[ -s "$work/applets" ] || die "no applet table found in $path"
		mkdir -p "$root/$dir"
		while read -r applet; do
			[ -e "$root/$dir/$applet" ] || [ -h "$root/$dir/$applet" ] || ln -s "$path" "$root/$dir/$applet"
		done <"$work/applets"
	done
	# Mount points and folders that every program takes for granted.
	mkdir -p "$root/dev" "$root/proc" "$root/sys" "$root/run" "$root/tmp" "$root/root" "$root/var/tmp"
	find "$root" -type d -exec chmod 755 {} +
	find "$root" -type f -exec chmod 644 {} +
	chmod 1777 "$root/tmp" "$root/var/tmp"
	chmod 700 "$root/root"
	(cd "$root" && tar --sort=name --owner=0 --group=0 --numeric-owner \
		--mtime="@$SOURCE_DATE_EPOCH" --format=gnu -cf "$1" -- *)
}

# applet_names FILE: the table of names inside a busybox program, the one long
# sorted run of such strings; asking the program would mean to run it.
applet_names() {
	tr '\0' '\n' <"$1" | LC_ALL=C awk '
		function finish() {
			if (n > 50) { for (i = 1; i <= n; i++) if (run[i] != "busybox") print run[i]; exit }
			n = 0
		}
		n && ($0 !~ /^[][a-z0-9_.+-]+$/ || $0 < run[n]) { finish() }
		# What lies before the table may touch its first name.
		!n && $0 == "[[" && last ~ /\[$/ { run[++n] = "[" }
		n { run[++n] = $0 }
		{ last = $0 }'
}

pack() { # TAR…
	description=$(recipe description)
	# The recipe's words become flags; each line is one flag, so blanks survive.
	{
		recipe env | sed 's/^/--env=/'
		recipe cmd | tr -s ' ' '\n' | sed 's/^/--cmd=/'
		recipe label | sed 's/^/--label=/'
		echo "--label=org.opencontainers.image.title=$name"
		if [ -n "$description" ]; then echo "--label=org.opencontainers.image.description=$description"; fi
		echo "--label=org.opencontainers.image.version=debian-$suite"
	} >"$work/flags"
	while IFS= read -r flag; do set -- "$flag" "$@"; done <<-EOF
		$(tac "$work/flags")
	EOF
	# PED may be several words.
	# shellcheck disable=SC2086
	$ped image pack --layout="$out/$name" --platform="linux/$arch" --created="$SOURCE_DATE_EPOCH" "$@"
}

build() { # NAME ARCH
	name=$1 arch=$2 suite=$(suite_of "$2")
	recipe_file=$here/$name.recipe
	[ -r "$recipe_file" ] || die "no recipe $recipe_file"
	inputs=$(cd "$here" && find build.sh trimmed.paths files "$name.recipe" -type f | LC_ALL=C sort | xargs sha256sum | sha256sum)
	stamp=$out/$name/.built-$arch
	if [ -z "$force" ] && [ -e "$out/$name/index.json" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$inputs" ]; then
		say "$name for $arch is there"
		return
	fi
	say "building $name for $arch from $suite"
	work=$(mktemp -d)
	unpack_packages "$work/packages.tar"
	second_layer "$work/second.tar" "$work/packages.tar"
	digest=$(pack "$work/packages.tar" "$work/second.tar")
	printf '%s\n' "$inputs" >"$stamp"
	rm -rf "$work"
	work=
	say "built $out/$name for $arch: $digest"
}

archs=$(dpkg --print-architecture) out=$cache/images force=
while [ $# -gt 0 ]; do
	case $1 in
	--arch) archs=$2 && shift 2 ;;
	--out) out=$2 && shift 2 ;;
	--force) force=1 && shift ;;
	--help) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" && exit ;;
	-*) die "unknown option $1" ;;
	*) break ;;
	esac
done
if [ $# -eq 0 ]; then
	for file in "$here"/*.recipe; do set -- "$@" "$(basename "$file" .recipe)"; done
fi
mkdir -p "$out"
work=
trap 'if [ -n "$work" ]; then rm -rf "$work"; fi' EXIT
for one in "$@"; do
	for a in $(printf %s "$archs" | tr , ' '); do build "$one" "$a"; done
done
