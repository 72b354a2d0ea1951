//go:build linux

package ocirun

import (
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Runtimes that are known.
const (
	Runsc = "runsc"
	Runc  = "runc"
	Crun  = "crun"
)

// Runtime is a program that speaks the OCI runtime command line.
type Runtime struct {
	// Name is Runsc, Runc or Crun, as the program says of itself.
	Name string
	// Path is absolute.
	Path string
	// Version is the program's own word for it, one line.
	Version string
	// Digest is the sha256 of the file, in hexadecimal.
	Digest string
}

// Find looks a runtime up: a path, or a name in PATH.
func Find(ctx context.Context, name string) (Runtime, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return Runtime{}, fmt.Errorf("find OCI runtime: %w (runsc comes with deploy/setup.sh, runc and crun are packages)", err)
	}
	if path, err = filepath.Abs(path); err != nil {
		return Runtime{}, fmt.Errorf("find OCI runtime: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return Runtime{}, fmt.Errorf("ask %s for its version: %w", path, err)
	}
	line, _, _ := strings.Cut(string(out), "\n")
	r := Runtime{Path: path}
	r.Name, r.Version, _ = strings.Cut(strings.TrimSpace(line), " version ")
	switch r.Name {
	case Runsc, Runc, Crun:
	default:
		return Runtime{}, fmt.Errorf("%s says it is %.60q: want runsc, runc or crun", path, line)
	}
	if info, err := buildinfo.ReadFile(path); err == nil && r.Name == Runsc {
		r.Version = info.Main.Version // a build by `go install` knows none of its own
	}
	r.Digest, err = digestOf(path)
	return r, err
}

func digestOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// run is the command that starts the bundle in dir as id and ends when its first process runs.
func (r Runtime) run(dir, id string) []string {
	args := []string{r.Path, "--root", filepath.Join(dir, stateFolder)}
	if r.Name == Runsc {
		args = append(args,
			"--network=none",
			"--ignore-cgroups", // the machine is born in the cgroup that it is to be in
			"--overlay2=none",  // what a job writes is in our scratch, whose size is limited
			"--oci-seccomp",
			"--file-access=exclusive",
		)
	}
	return append(args, "run", "--detach", "--bundle", dir, "--pid-file", filepath.Join(dir, pidFile), id)
}
