package powercut

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/program-explorer/pe/internal/hosttest"
)

// rounds is how often the power is cut; PE_LONG=1 makes them 20.
var rounds = flag.Int("cuts", few, "how often the power is cut")

// clients submit at the same time. With some forty, records are committed together.
var clients = flag.Int("clients", 8, "how many submit at the same time")

const few, many = 2, 20

// programs are those that the machine runs.
var programs *hosttest.Programs

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
	bin, err := os.MkdirTemp("", "pe-powercut-")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(bin)) }()
	// The machine has one architecture, whatever this host's is.
	programs, err = hosttest.Build{
		Into: bin, Packages: []string{"../../cmd/ped", "./guest", "github.com/nats-io/nats-server/v2"}, Env: []string{"GOARCH=amd64"},
	}.Static().Make()
	if err != nil {
		return 1, err
	}
	return m.Run(), nil
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
		hosttest.Missing(t, "no %s: run deploy/setup.sh --for test", filepath.Join(dir, pattern))
	}
	return found[0]
}
