package guestsuite

import (
	"archive/tar"
	"strings"
)

// inputs are unpacked relative to the working directory, and stay there.
func inputs() []Case {
	refused := exit{Code: 126, NotStarted: true}
	return []Case{
		{Name: "files", Sh: "cat a/b/c d; stat -c '%u:%g %a %Y' d a/b", Files: map[string]string{"a/b/c": "1", "d": "2"}, Stdout: "120:0 644 1600000000\n0:0 755 0\n"},
		{Name: "files of the user", Sh: "stat -c '%u:%g' d a a/b; echo x >> d && echo ok", Job: func(j *job) { j.User = "1000:1000" }, Files: map[string]string{"a/b": "1", "d": "2"}, Stdout: "1000:1000\n1000:1000\n1000:1000\nok\n"},
		{Name: "a large file", Sh: "wc -c < big; md5sum < big | cut -c1-8", Files: map[string]string{"big": strings.Repeat("program explorer", 1<<19)}, Contains: "8388608\n"},
		{Name: "input is not a tar", Sh: "true", Input: []byte(strings.Repeat("x", 4096)), Want: refused, Says: "inputs"},
		{Name: "input climbs up", Sh: "true", Input: entry(tar.Header{Name: "../evil", Typeflag: tar.TypeReg}), Want: refused, Says: "refused"},
		{Name: "input is absolute", Sh: "true", Input: entry(tar.Header{Name: "/etc/evil", Typeflag: tar.TypeReg}), Want: refused, Says: "refused"},
		{Name: "input links out", Sh: "true", Input: entry(tar.Header{Name: "l", Linkname: "/etc", Typeflag: tar.TypeSymlink}), Want: refused, Says: "refused"},
		{Name: "input is a device", Sh: "true", Input: entry(tar.Header{Name: "d", Typeflag: tar.TypeBlock, Devmajor: 253}), Want: refused, Says: "refused"},
		{Name: "input is larger than scratch", Sh: "true", Files: map[string]string{"big": strings.Repeat("x", 4<<20)}, Job: func(j *job) { j.Limits.Scratch = 1 << 20 },
			Want: exit{Code: 126, NotStarted: true, LimitsHit: []string{"scratch"}}, Says: "scratch"},
	}
}
