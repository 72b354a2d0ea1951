package imagetest

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Need skips a test that wants something this machine lacks, and fails it where
// everything is required (PE_REQUIRE_ALL=1). install says what would help.
func Need(t testing.TB, what, install string) {
	t.Helper()
	if os.Getenv("PE_REQUIRE_ALL") == "1" {
		t.Fatalf("%s is missing: %s", what, install)
	}
	t.Skipf("%s is missing: %s", what, install)
}

// Tool returns the path of a program, or ends the test as Need does.
func Tool(t testing.TB, name, install string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		Need(t, name, install)
	}
	return path
}

// MountErofs mounts an image by the kernel, read only, until the test ends.
func MountErofs(t testing.TB, image string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		Need(t, "root", "the kernel mounts images for root only; run the test with sudo")
	}
	mount := Tool(t, "mount", "install util-linux")
	dir := t.TempDir()
	if out, err := exec.Command(mount, "-t", "erofs", "-o", "loop,ro", image, dir).CombinedOutput(); err != nil {
		Need(t, "mounting EROFS", fmt.Sprintf("a kernel with EROFS and loop devices is needed: %s", out))
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

// Fsck checks an image, contents too, with erofs-utils.
func Fsck(t testing.TB, image string) {
	t.Helper()
	fsck := Tool(t, "fsck.erofs", "install erofs-utils")
	if out, err := exec.Command(fsck, "--extract", image).CombinedOutput(); err != nil {
		t.Errorf("fsck.erofs: %v\n%s", err, out)
	}
}

// Listing describes a folder on disk and all below it: for each path, in order,
// everything that a program could see of it, on one line.
func Listing(t testing.TB, dir string) []string {
	t.Helper()
	var lines []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		line, err := describe(path)
		rel, _ := filepath.Rel(dir, path)
		lines = append(lines, fmt.Sprintf("%q %s", rel, line))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(lines)
	return lines
}

func describe(path string) (string, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return "", err
	}
	text := fmt.Sprintf("mode %o owner %d:%d time %d.%09d", st.Mode, st.Uid, st.Gid, st.Mtim.Sec, st.Mtim.Nsec)
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		target, err := os.Readlink(path)
		return text + fmt.Sprintf(" -> %q", target), err
	case unix.S_IFCHR, unix.S_IFBLK:
		text += fmt.Sprintf(" device %d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
	case unix.S_IFREG:
		file, err := os.Open(path)
		if err != nil {
			return "", err
		}
		defer file.Close()
		sum := sha256.New()
		if _, err := io.Copy(sum, file); err != nil {
			return "", err
		}
		text += fmt.Sprintf(" links %d size %d sha256 %x", st.Nlink, st.Size, sum.Sum(nil))
	case unix.S_IFDIR:
		text += fmt.Sprintf(" links %d", st.Nlink)
	}
	attrs, err := xattrs(path)
	return text + attrs, err
}

func xattrs(path string) (string, error) {
	names := make([]byte, 64<<10)
	n, err := unix.Llistxattr(path, names)
	if err == unix.ENOTSUP {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	var list []string
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names[:n]), "\x00"), "\x00") {
		if name == "" {
			continue
		}
		value := make([]byte, 64<<10)
		n, err := unix.Lgetxattr(path, name, value)
		if err != nil {
			return "", err
		}
		list = append(list, fmt.Sprintf(" %s=%x", name, value[:n]))
	}
	slices.Sort(list)
	return strings.Join(list, ""), nil
}

// CompareListings reports how two listings differ.
func CompareListings(t testing.TB, got, want []string) {
	t.Helper()
	shown := 0
	report := func(kind, line string) {
		if shown++; shown <= 20 {
			t.Errorf("%s: %s", kind, line)
		}
	}
	for len(got) > 0 || len(want) > 0 {
		switch {
		case len(want) == 0 || len(got) > 0 && got[0] < want[0]:
			report("not wanted", got[0])
			got = got[1:]
		case len(got) == 0 || want[0] < got[0]:
			report("missing", want[0])
			want = want[1:]
		default:
			got, want = got[1:], want[1:]
		}
	}
}
