package atrest

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/program-explorer/pe/internal/archive"
)

func repack(t testing.TB, guest []byte, l archive.Limits) ([]byte, Index) {
	t.Helper()
	var b bytes.Buffer
	x, err := Repack(bytes.NewReader(guest), &b, l)
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), x
}

func open(at []byte, e Entry) ([]byte, error) {
	r, err := OpenEntry(bytes.NewReader(at[e.Offset:]), e)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// verify holds the archive to its index, entry by entry and as a whole.
func verify(t testing.TB, at []byte, x Index) {
	t.Helper()
	if x.ArchiveSize != int64(len(at)) || x.ArchiveSHA256 != digestOf(at) {
		t.Errorf("index says %d bytes, %s", x.ArchiveSize, x.ArchiveSHA256)
	}
	var j bytes.Buffer
	if err := x.Encode(&j); err != nil {
		t.Fatal(err)
	}
	decoded, err := DecodeIndex(&j, int64(j.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if len(decoded.Entries) != len(x.Entries) || !slices.Equal(decoded.Entries, x.Entries) {
		t.Error("index changed on its way through JSON")
	}
	r, err := TarReader(bytes.NewReader(at))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	all := readTar(t, r)
	if len(all) != len(x.Entries) {
		t.Fatalf("tar has %d entries, index %d", len(all), len(x.Entries))
	}
	for i, e := range x.Entries {
		if name := strings.TrimSuffix(all[i].Name, "/"); name != e.Name() {
			t.Errorf("tar has %q, index %q", name, e.Name())
		}
		if e.Type != TypeFile {
			continue
		}
		got, err := open(at, e)
		if err != nil || !bytes.Equal(got, all[i].content) {
			t.Errorf("open %q: %d bytes, %v; want %d", e.Path, len(got), err, len(all[i].content))
		}
	}
}

func TestRepack(t *testing.T) {
	t.Parallel()
	inputs := []input{other(tar.TypeDir, "./"), other(tar.TypeDir, "src/")}
	for _, n := range []int{0, 1, 511, 512, 513, smallEntry - 1, smallEntry, smallEntry + 1, smallEntry + copySize, smallEntry + copySize + 1, 1<<20 + 3} {
		inputs = append(inputs, file(fmt.Sprintf("src/noise-%d", n), noise(n)), file(fmt.Sprintf("src/prose-%d.c", n), prose(n)))
	}
	at, x := repack(t, makeTar(t, inputs...), archive.Limits{})
	verify(t, at, x)
	if x.Files != len(inputs)-2 || x.SkippedTotal != 0 {
		t.Errorf("%d files, skipped %v", x.Files, x.Skipped)
	}
	again, _ := repack(t, makeTar(t, inputs...), archive.Limits{})
	if !bytes.Equal(at, again) {
		t.Error("the same input gave other bytes")
	}
	if e, ok := x.File("src/prose-513.c"); !ok || e.MediaType != plainText || e.Mode != 0o640 || e.MTimeUS != 1_700_000_000_000_000 || e.SHA256 != digestOf(prose(513)) {
		t.Errorf("%+v", e)
	}
}

func TestRepackHostile(t *testing.T) {
	t.Parallel()
	x1 := []byte("x")
	setuid := file("kept/setuid", x1)
	setuid.Mode = 0o6777
	setuid.Uid, setuid.Uname = 1000, "evil"
	setuid.PAXRecords = map[string]string{"SCHILY.xattr.security.capability": "evil"}
	at, x := repack(t, makeTar(t,
		file("/abs", x1), file("../up", x1), file("a/../b", x1),
		link(tar.TypeSymlink, "abs-link", "/etc/passwd"), link(tar.TypeSymlink, "up-link", "../x"),
		other(tar.TypeDir, "d/"), link(tar.TypeSymlink, "d/up", ".."), link(tar.TypeSymlink, "late", "d/up/../x"),
		file("d/up/through", x1), link(tar.TypeSymlink, "d/stays", "../kept/setuid"),
		other(tar.TypeChar, "null"), other(tar.TypeBlock, "disk"), other(tar.TypeFifo, "fifo"),
		setuid, file("kept/setuid", []byte("second")), other(tar.TypeDir, "kept/"), other(tar.TypeDir, "kept"), file("kept", x1),
		link(tar.TypeLink, "hard", "kept/setuid"), link(tar.TypeLink, "hard2", "none"), link(tar.TypeLink, "hard3", "../x"), link(tar.TypeLink, "hard4", "d/up"),
		file("new\nline", x1), file("bad\xff\xfename", x1), link(tar.TypeSymlink, "l\xff", "bad\xff\xfename"),
		file(strings.Repeat("d/", 200)+"deep", x1), file(strings.Repeat("long", 1100), x1),
	), archive.Limits{})
	verify(t, at, x)
	var kept []string
	for _, e := range x.Entries {
		kept = append(kept, e.Name())
	}
	want := []string{"d", "d/up", "d/stays", "kept/setuid", "kept", "hard", "new\nline", "bad\xff\xfename", "l\xff"}
	if !slices.Equal(kept, want) {
		t.Errorf("kept %q, want %q", kept, want)
	}
	reasons := map[string]string{}
	for _, s := range x.Skipped {
		reasons[s.Path] = s.Reason
	}
	for path, reason := range map[string]string{
		"/abs": "absolute name", "../up": "name holds ..", "a/../b": "name holds ..", "abs-link": "link to an absolute name",
		"up-link": "link leaves the archive", "late": "link climbs after it descends", "d/up/through": "lies below something that is not a folder",
		"null": "device", "disk": "device", "fifo": "fifo", "kept/setuid": "name is there already", "kept": "name is there already",
		"hard2": "hard link to something else than an earlier file", "hard3": "name holds ..", "hard4": "hard link to something else than an earlier file",
	} {
		if reasons[path] != reason {
			t.Errorf("%s: skipped because %q, want %q", path, reasons[path], reason)
		}
	}
	if x.SkippedTotal != len(x.Skipped) || x.SkippedTotal != 18 {
		t.Errorf("%d skipped: %v", x.SkippedTotal, x.Skipped)
	}
	if e, ok := x.File("hard"); !ok || e.Path != "kept/setuid" || e.Mode != 0o777 {
		t.Errorf("hard link leads to %+v", e)
	}
	if e, ok := x.File("bad\xff\xfename"); !ok || e.Path != "bad\ufffdname" || e.PathBase64 != "YmFk//5uYW1l" {
		t.Errorf("name that is not UTF-8: %+v", e)
	}
	r, err := TarReader(bytes.NewReader(at))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, in := range readTar(t, r) {
		if in.Uid != 0 || in.Uname != "" || in.PAXRecords["SCHILY.xattr.security.capability"] != "" || in.Mode > 0o777 {
			t.Errorf("header kept too much: %+v", in.Header)
		}
	}
}

// What Repack kept, Unpack takes: a client never sees a refusal for an archive of ours.
func TestRepackedUnpacks(t *testing.T) {
	t.Parallel()
	at, x := repack(t, makeTar(t,
		file("a/b", noise(200_000)), link(tar.TypeSymlink, "a/l", "../a/b"), link(tar.TypeLink, "h", "a/b"),
		other(tar.TypeDir, "a/"), file("bad\xff", nil), link(tar.TypeSymlink, "dangling", "none")), archive.Limits{})
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	r, err := TarReader(bytes.NewReader(at))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	stats, err := archive.Unpack(r, root, archive.UnpackOptions{})
	if err != nil || stats.Entries() != len(x.Entries) {
		t.Errorf("%+v, %v", stats, err)
	}
}

func TestRepackLimits(t *testing.T) {
	t.Parallel()
	guest := makeTar(t, file("a", noise(1000)), file("b", noise(1000)), other(tar.TypeFifo, "c"))
	for _, c := range []struct {
		l    archive.Limits
		what string
	}{
		{archive.Limits{MaxBytes: 2000, MaxEntries: 3}, ""},
		{archive.Limits{MaxBytes: 1999}, archive.LimitBytes},
		{archive.Limits{MaxEntries: 2}, archive.LimitEntries},
	} {
		_, err := Repack(bytes.NewReader(guest), io.Discard, c.l)
		var limit *archive.LimitError
		if c.what == "" && err != nil || c.what != "" && (!errors.As(err, &limit) || limit.What != c.what) {
			t.Errorf("%+v: %v, want limit %q", c.l, err, c.what)
		}
	}
	many := []input{}
	for i := range 1000 {
		many = append(many, other(tar.TypeFifo, fmt.Sprint(i)))
	}
	if _, x := repack(t, makeTar(t, many...), archive.Limits{}); x.SkippedTotal != 1000 || len(x.Skipped) != archive.MaxRemarks {
		t.Errorf("%d skipped, %d listed", x.SkippedTotal, len(x.Skipped))
	}
}

// Deep names without their folders must not fill memory with folders.
func TestRepackImpliedFolders(t *testing.T) {
	t.Parallel()
	tree := newTree()
	var err error
	for i := 0; err == nil && i < 3000; i++ {
		err = tree.admit(fmt.Sprintf("%d/%sf", i, strings.Repeat("d/", 100)), isFile)
	}
	if err == nil || len(tree.kinds) > 2*archive.DefaultMaxEntries {
		t.Errorf("%d names, %v", len(tree.kinds), err)
	}
}

func TestRepackTruncated(t *testing.T) {
	t.Parallel()
	guest := makeTar(t, file("small", noise(1000)), file("large", noise(300_000)))
	for _, n := range []int{0, 100, 600, 1536, 2000, 100_000, 200_000, len(guest) - 1024, len(guest) - 512} {
		if _, err := Repack(bytes.NewReader(guest[:n]), io.Discard, archive.Limits{}); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d of %d bytes: %v", n, len(guest), err)
		}
	}
	full := errors.New("disk is full")
	if _, err := Repack(bytes.NewReader(guest), failingWriter{full}, archive.Limits{}); !errors.Is(err, full) {
		t.Errorf("broken writer: %v", err)
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

func TestRepackHundredThousand(t *testing.T) {
	t.Parallel()
	const count = 100_000
	r, w := io.Pipe()
	go func() { w.CloseWithError(writeMany(w, count)) }()
	var at bytes.Buffer
	x, err := Repack(r, &at, archive.Limits{})
	if err != nil || x.Files != count {
		t.Fatalf("%d files, %v", x.Files, err)
	}
	e, ok := x.File("d/99999.txt")
	if !ok {
		t.Fatal("the last file is missing")
	}
	if got, err := open(at.Bytes(), e); err != nil || string(got) != "file 99999\n" {
		t.Errorf("%q, %v", got, err)
	}
	var j bytes.Buffer
	if err := x.Encode(&j); err != nil {
		t.Fatal(err)
	}
	t.Logf("archive %d bytes, index %d bytes", at.Len(), j.Len())
	if _, err := DecodeIndex(&j, 64<<20); err != nil {
		t.Error(err)
	}
}

func writeMany(w io.Writer, count int) error {
	tw := tar.NewWriter(w)
	for i := range count {
		content := fmt.Sprintf("file %d\n", i)
		if err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprintf("d/%05d.txt", i), Size: int64(len(content)), Mode: 0o644}); err != nil {
			return err
		}
		if _, err := io.WriteString(tw, content); err != nil {
			return err
		}
	}
	return tw.Close()
}

// The tools that everybody has must be able to read an archive at rest.
func TestForeignTools(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"zstd", "tar"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("PE_REQUIRE_ALL") == "1" {
				t.Fatalf("%s is not installed (apt-get install zstd tar)", tool)
			}
			t.Skipf("%s is not installed", tool)
		}
	}
	big := noise(3 << 20)
	at, x := repack(t, makeTar(t, file("noise", big), file("prose", prose(1<<20)), file("new\nline", nil),
		link(tar.TypeSymlink, "l", "noise"), file(strings.Repeat("long/", 50)+"f", []byte("x"))), archive.Limits{})
	dir := t.TempDir()
	packed := filepath.Join(dir, "outputs.tar.zst")
	if err := os.WriteFile(packed, at, 0o600); err != nil {
		t.Fatal(err)
	}
	plain := filepath.Join(dir, "outputs.tar")
	if out, err := exec.Command("zstd", "-q", "-d", packed, "-o", plain).CombinedOutput(); err != nil {
		t.Fatalf("zstd: %v: %s", err, out)
	}
	out, err := exec.Command("tar", "-t", "-f", plain).CombinedOutput()
	if err != nil || strings.Count(string(out), "\n") != len(x.Entries) {
		t.Errorf("tar -t: %v: %s", err, out)
	}
	out, err = exec.Command("tar", "-x", "-O", "-f", plain, "noise").Output()
	if err != nil || !bytes.Equal(out, big) {
		t.Errorf("tar -x: %d bytes, %v", len(out), err)
	}
}

func TestMediaType(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, content, want string }{
		{"a.c", "int main;", plainText},
		{"empty", "", plainText},
		{"a.json", "{}", "application/json"},
		{"a.PNG", "\x89PNG\r\n\x1a\n", "image/png"},
		{"lies.png", "<html><script>", "text/html; charset=utf-8"},
		{"page.png", "just text", plainText},
		{"a.svg", "<?xml version='1.0'?><svg/>", "image/svg+xml"},
		{"a.out", "\x7fELF\x02\x01\x01\x00", "application/x-elf"},
		{"a.bin", "\x00\x01\x02", octets},
		{"a.html", "text", "text/html; charset=utf-8"},
	} {
		if got := mediaType(c.name, []byte(c.content)); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestIndexIsReadable(t *testing.T) {
	t.Parallel()
	_, x := repack(t, makeTar(t, file("a", []byte("hello"))), archive.Limits{})
	b, err := json.Marshal(x.Entries[0])
	if err != nil {
		t.Fatal(err)
	}
	want := `{"path":"a","type":"file","mode":416,"size":5,"sha256":"sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824","media_type":"text/plain; charset=utf-8","offset":0,"length":` +
		fmt.Sprint(x.Entries[0].Length) + `,"header":512,"mtime_us":1700000000000000}`
	if string(b) != want {
		t.Errorf("got  %s\nwant %s", b, want)
	}
}
