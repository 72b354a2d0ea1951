# debian.sh is read by the scripts that fetch from Debian: which suite serves an
# architecture, where the mirror is, and patience with it. The caller defines say and die.
#
# No host's name stands here: the mirror is the one that the machine's own apt
# is configured with, or PE_DEBIAN_MIRROR (and PE_DEBIAN_SECURITY_MIRROR).
# shellcheck shell=sh

# suite_of ARCH. riscv64 became a release architecture with trixie.
suite_of() {
	case $1 in
	amd64 | arm64) echo bookworm ;;
	riscv64) echo trixie ;;
	*) die "unknown architecture $1: want amd64, arm64 or riscv64" ;;
	esac
}

# configured_site LABEL prints the address of the first package index that the
# machine's apt is configured with and that calls itself LABEL.
configured_site() {
	# Label is known only once lists were downloaded; before that, the usual
	# last path element of a mirror tells the two archives apart.
	# shellcheck disable=SC2016 # apt's own placeholders, not the shell's
	apt-get indextargets --format '$(LABEL)|$(SITE)' 'Created-By: Packages' 2>/dev/null |
		awk -F'|' -v label="$1" '
			{ last = $2; sub(/\/+$/, "", last); sub(/.*\//, "", last) }
			$1 == label || ($1 !~ /^Debian/ && last == tolower(label)) { print $2; exit }'
}

# write_sources FILE SUITE WITH_SECURITY [TYPE]: a sources.list for packages, or
# for sources with TYPE deb-src.
write_sources() {
	mirror=${PE_DEBIAN_MIRROR:-$(configured_site Debian)}
	[ -n "$mirror" ] || die "this machine's apt has no Debian mirror configured: set PE_DEBIAN_MIRROR to the address of one"
	security=${PE_DEBIAN_SECURITY_MIRROR:-$(configured_site Debian-Security)}
	keyring=/usr/share/keyrings/debian-archive-keyring.gpg
	[ -r "$keyring" ] || die "$keyring is missing: install the package debian-archive-keyring"
	{
		echo "${4:-deb} [signed-by=$keyring] $mirror $2 main"
		if [ "$3" = yes ] && [ -n "$security" ]; then
			echo "${4:-deb} [signed-by=$keyring] $security $2-security main"
		fi
	} >"$1"
}

# again COMMAND…: run it until it works, at most four times: mirrors are being
# synchronised now and then, and connections break.
again() {
	for pause in 2 10 30; do
		"$@" && return
		say "trying again in $pause s"
		sleep "$pause"
	done
	"$@"
}
