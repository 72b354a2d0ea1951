package guestsuite

import (
	"archive/tar"
	"slices"
	"testing"

	"github.com/program-explorer/pe/schemas/guestproto"
)

// outputs are packed from /output, and nothing else is.
func outputs() []Case {
	return []Case{
		{Name: "no outputs", Sh: "true", Check: wantFiles()},
		{Name: "outputs", Sh: "mkdir -p /output/d; echo hi > /output/d/f; echo x > /output/g", Check: wantFiles("d/", "d/f", "g")},
		{Name: "outputs by pattern", Sh: "cd /output; touch a.o a.c; mkdir s; touch s/b.o", Job: func(j *job) { j.Output.Patterns = []string{"*.o"} }, Check: wantFiles("a.o")},
		{Name: "outputs not wanted", Sh: "echo x > /output/g", Job: func(j *job) { j.Output.Via = guestproto.ViaNone }, Check: wantFiles()},
		{Name: "outputs of a failed program", Sh: "echo x > /output/log; exit 9", Want: exit{Code: 9}, Check: wantFiles("log")},
		{Name: "outputs of a user", Sh: "echo x > /output/f; chmod 0 /output/f", Job: func(j *job) { j.User = "1000:1000" }, Check: wantFiles("f")},
		{Name: "links in outputs are not followed", Sh: "cd /output; ln -s /etc/passwd abs; ln -s ../etc/passwd rel; ln -s /etc dir; ln -s self self", Check: func(t *testing.T, r Result) {
			wantFiles("abs", "dir", "rel", "self")(t, r)
			for name, h := range r.Files(t) {
				if h.Typeflag != tar.TypeSymlink || h.Size != 0 {
					t.Errorf("%s: type %q, %d bytes", name, h.Typeflag, h.Size)
				}
			}
		}},
		{Name: "output is a link", Sh: "rmdir /output; ln -s /etc /output", Check: func(t *testing.T, r Result) {
			if files := r.Files(t); files["passwd"] != nil {
				t.Errorf("the link was followed: %d files", len(files))
			}
		}},
		{Name: "output is gone", Sh: "rmdir /output", Check: wantFiles()},
		{Name: "output is a file", Sh: "rmdir /output; echo x > /output", Check: wantFiles()},
		{Name: "FIFOs are skipped", Sh: "mkfifo /output/p; echo x > /output/f", Check: func(t *testing.T, r Result) {
			wantFiles("f")(t, r)
			if r.Collected.Skipped != 1 || len(r.Collected.SkippedPaths) != 1 {
				t.Errorf("collected %+v", r.Collected)
			}
		}},
		{Name: "strange names", Sh: `cd /output; touch -- "$(printf 'a\nb')" "$(printf 'c\377d')" ' ' '-rf' '..x'; mkdir -p ...`, Check: wantFiles("a\nb", "c\xffd", " ", "-rf", "..x", ".../")},
		{Name: "hard links", Sh: "cd /output; echo data > a; ln a b", Check: wantFiles("a", "b")},
		{Name: "sparse file within the limit", Sh: "truncate -s 8M /output/s", Check: wantFiles("s")},
		{Name: "too many bytes", Sh: "truncate -s 1G /output/huge", Check: wantOverSize},
		{Name: "a little too many bytes", Sh: "for i in 1 2 3; do dd if=/dev/zero of=/output/$i bs=1M count=1 2>/dev/null; done", Job: func(j *job) { j.Limits.Output = 2 << 20 }, Check: wantOverSize},
	}
}

func wantFiles(names ...string) func(*testing.T, Result) {
	return func(t *testing.T, r Result) {
		t.Helper()
		var got []string
		for name := range r.Files(t) {
			got = append(got, name)
		}
		slices.Sort(got)
		slices.Sort(names)
		if !slices.Equal(got, names) || r.Collected.Limit != "" {
			t.Errorf("outputs %q, want %q; %+v", got, names, r.Collected)
		}
		if len(names) == 0 && r.Collected.Bytes != 0 {
			t.Errorf("no outputs in %d bytes", r.Collected.Bytes)
		}
	}
}

func wantOverSize(t *testing.T, r Result) {
	if r.Collected.Limit != guestproto.LimitOutput {
		t.Errorf("collected %+v", r.Collected)
	}
}
