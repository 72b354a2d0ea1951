package fence

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// pkg is what `go list` says of a package.
type pkg struct {
	ImportPath                string
	Imports, Deps             []string
	TestImports, XTestImports []string
}

func list(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Imports,Deps,TestImports,XTestImports", module+"/...")
	// A guest is Linux; and the table is about what users get, built without cgo.
	cmd.Env = append(os.Environ(), "GOOS=linux", "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	var all []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// imports are what the fence looks at in a package.
func (f Fence) imports(p pkg) []string {
	imports := p.Deps
	if f.Direct {
		imports = p.Imports
	}
	if f.Tests {
		imports = slices.Concat(imports, p.TestImports, p.XTestImports)
	}
	return imports
}

// crossings are the packages that f's patterns forbid to p.
func (f Fence) crossings(p pkg) []string {
	if !matches(f.Who, p.ImportPath) || matchesAny(f.Except, p.ImportPath) {
		return nil
	}
	var crossed []string
	for _, path := range f.imports(p) {
		// A folder's own packages may import each other; the whole module is no such folder.
		if matchesAny(f.Never, path) && (f.Who == everything || !matches(f.Who, path)) {
			crossed = append(crossed, path)
		}
	}
	return crossed
}

func TestNoFenceIsCrossed(t *testing.T) {
	all := list(t)
	for _, f := range Fences {
		guarded := 0
		for _, p := range all {
			if matches(f.Who, p.ImportPath) && !matchesAny(f.Except, p.ImportPath) {
				guarded++
			}
			for _, path := range f.crossings(p) {
				t.Errorf("%s imports %s: %s", p.ImportPath, path, f.Why)
			}
		}
		if guarded == 0 && !later[f.Who] {
			t.Errorf("the fence around %s guards no package: is its name right?", f.Who)
		}
	}
}

// later are fences around packages that are yet to be written.
var later = map[string]bool{"pe/executor/ocirun/...": true}

// only maps what starts other programs, or opens raw devices, to the one
// package that may name it in a string. An import list can't tell what is executed.
var only = map[string]string{
	"qemu-system-": "executor/qemu",
}

func TestOnlyTheOnePackageNamesQEMU(t *testing.T) {
	root := filepath.Join("..", "..")
	for _, folder := range []string{"gateway", "producer", "guestrd", "imagesync", "schemas", "internal/jobqueue", "internal/objstore", "internal/archive"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			source, err := os.ReadFile(path)
			for name, owner := range only {
				if bytes.Contains(source, []byte(name)) {
					t.Errorf("%s names %s*: only %s starts it", path, name, owner)
				}
			}
			return err
		})
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
	}
}

// TestEveryFenceCanBeCrossed forges an import of everything that a fence forbids.
func TestEveryFenceCanBeCrossed(t *testing.T) {
	for _, f := range Fences {
		for _, never := range f.Never {
			p := pkg{ImportPath: sample(f.Who, "/within"), Imports: []string{"fmt"}}
			forbidden := sample(never, "")
			if p.Deps = []string{forbidden}; f.Direct {
				p.Deps, p.Imports = nil, append(p.Imports, forbidden)
			}
			if crossed := f.crossings(p); !slices.Equal(crossed, []string{forbidden}) {
				t.Errorf("%s may import %s, though it is kept from %s", p.ImportPath, forbidden, never)
			}
		}
	}
}

// sample is a path that the pattern names; below is added if it names all that lies there.
func sample(pattern, below string) string {
	if pattern == "!std" {
		return "example.org/module"
	}
	base, all := strings.CutSuffix(pattern, "/...")
	if base == "pe" {
		base = module
	} else if rest, ours := strings.CutPrefix(base, "pe/"); ours {
		base = module + "/" + rest
	}
	if all {
		base += below
	}
	return base
}

func TestTheTableItself(t *testing.T) {
	cases := []struct {
		pattern, path string
		want          bool
	}{
		{"pe/schemas", module + "/schemas", true},
		{"pe/schemas", module + "/schemas/guestproto", false},
		{"pe/schemas/...", module + "/schemas/guestproto", true},
		{"pe/schemas/...", module + "/schemasother", false},
		{"net/http", "net/http", true},
		{"net/http", "net/http/httptest", false},
		{"!std", "encoding/json", false},
		{"!std", "golang.org/x/sys/unix", true},
		{nats, "github.com/nats-io/nats.go/jetstream", true},
		{nats, "github.com/nats-io/nats-server/v2/server", false},
	}
	for _, c := range cases {
		if got := matches(c.pattern, c.path); got != c.want {
			t.Errorf("%s matches %s: got %v", c.pattern, c.path, got)
		}
	}
	for _, f := range []Fence{
		{Who: "pe/cmd/pe", Never: []string{nats}},
		{Who: everything, Except: []string{"pe/cmd/ped"}, Never: []string{"pe/internal/onebox/..."}},
	} {
		crossing := f.crossings(pkg{ImportPath: module + "/cmd/pe", Deps: []string{"fmt", "github.com/nats-io/nats.go", module + "/internal/onebox"}})
		if len(crossing) != 1 {
			t.Errorf("a crossed fence is not seen: %v", crossing)
		}
	}
}
