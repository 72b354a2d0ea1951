package powercut

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// rounds is how often the power is cut; PE_LONG=1 makes them 20.
var rounds = flag.Int("cuts", few, "how often the power is cut")

// clients submit at the same time. With some forty, records are committed together.
var clients = flag.Int("clients", 8, "how many submit at the same time")

const few, many = 2, 20

// bin holds the programs that the machine runs.
var bin string

func TestMain(m *testing.M) {
	flag.Parse()
	if os.Getenv("PE_LONG") == "1" && *rounds == few {
		*rounds = many
	}
	code, err := buildAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "powercut:", err)
		code = 1
	}
	os.Exit(code)
}

func buildAndRun(m *testing.M) (code int, err error) {
	if bin, err = os.MkdirTemp("", "pe-powercut-"); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(bin)) }()
	if err := build("../../cmd/ped", "./guest", "github.com/nats-io/nats-server/v2"); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// build makes programs for the machine, whatever this host is.
func build(packages ...string) error {
	cmd := exec.Command("go", append([]string{"build", "-trimpath", "-ldflags=-s -w", "-o", bin + "/"}, packages...)...)
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build %v: %w", packages, err)
	}
	return nil
}

// cache is where deploy/setup.sh puts kernels.
func cache(t *testing.T, pattern string) string {
	t.Helper()
	dir := os.Getenv("PE_CACHE")
	if dir == "" {
		dir = filepath.Join("..", "..", ".cache")
	}
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(found) == 0 {
		missing(t, "no %s: run deploy/setup.sh --for test", filepath.Join(dir, pattern))
	}
	return found[0]
}

// missing ends a test that this machine can't run: loudly where all must run.
func missing(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("PE_REQUIRE_ALL") == "1" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}
