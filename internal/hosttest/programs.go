package hosttest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// A Build makes programs for tests to run.
type Build struct {
	// Into is the folder that they come into.
	Into string
	// Packages are the commands, as for `go build`. Each program is named as its folder is.
	Packages []string
	// Flags are those of `go build`, beside -o.
	Flags []string
	// Env comes after our own environment.
	Env []string
}

// Static are flags and environment of a small program that needs no library of its
// system, as what runs in a guest.
func (b Build) Static() Build {
	b.Flags = append(b.Flags, "-trimpath", "-ldflags=-s -w")
	b.Env = append(b.Env, "GOOS=linux", "CGO_ENABLED=0")
	return b
}

// Programs are what a [Build] made.
type Programs struct {
	into    string
	sources []string
	once    sync.Once
}

// Make runs `go build`.
func (b Build) Make() (*Programs, error) {
	if _, err := b.goes(append([]string{"build", "-o", b.Into + "/"}, b.Flags...)); err != nil {
		return nil, err
	}
	listed, err := b.goes([]string{"list", "-deps", "-json=Dir,Module,GoFiles,SFiles,EmbedFiles"})
	if err != nil {
		return nil, err
	}
	sources, err := ownSources(listed)
	return &Programs{into: b.Into, sources: sources}, err
}

// goes runs the go command on the packages.
func (b Build) goes(args []string) ([]byte, error) {
	cmd := exec.Command("go", append(args, b.Packages...)...)
	cmd.Env = append(os.Environ(), b.Env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s %v: %w\n%s", args[0], b.Packages, err, stderr.Bytes())
	}
	return out, nil
}

// ownSources are the files of the main module in what `go list` says, with the
// versions of its dependencies.
func ownSources(listed []byte) (paths []string, err error) {
	for dec := json.NewDecoder(bytes.NewReader(listed)); ; {
		var p struct {
			Dir    string
			Module struct {
				Main  bool
				GoMod string
			}
			GoFiles, SFiles, EmbedFiles []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return paths, nil
		} else if err != nil {
			return nil, err
		}
		if !p.Module.Main {
			continue
		}
		if len(paths) == 0 {
			paths = append(paths, p.Module.GoMod, filepath.Join(filepath.Dir(p.Module.GoMod), "go.sum"))
		}
		for _, files := range [][]string{p.GoFiles, p.SFiles, p.EmbedFiles} {
			for _, name := range files {
				paths = append(paths, filepath.Join(p.Dir, name))
			}
		}
	}
}

// Path is where a program is. It is to be called while tests run, not before m.Run:
// the first call opens what the programs were built from, and `go test` notes only then
// which files a test has opened. They are no imports of the test, so that its cached verdict
// would else be about programs of yesterday.
func (p *Programs) Path(name string) string {
	p.once.Do(func() {
		for _, source := range p.sources {
			if f, err := os.Open(source); err == nil { // one that has gone is noted, too
				f.Close()
			}
		}
	})
	return filepath.Join(p.into, name)
}
