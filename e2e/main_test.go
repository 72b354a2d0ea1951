package e2e

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/program-explorer/pe/internal/hosttest"
)

var (
	// bin is the folder of the commands under test, built once for all scenarios.
	bin string
	// commands are what is in it.
	commands *hosttest.Programs
	// long admits scenarios that take minutes: -long, or PE_LONG=1.
	long = flag.Bool("long", os.Getenv("PE_LONG") == "1", "run scenarios that take minutes, too")
)

// scenarios is how many run at once. Most of each is waiting: for the others,
// or for something to time out.
const scenarios = "6"

func TestMain(m *testing.M) {
	flag.Parse()
	if !set("test.parallel") {
		flag.Set("test.parallel", scenarios)
	}
	code, err := buildAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func set(name string) bool {
	found := false
	flag.Visit(func(f *flag.Flag) { found = found || f.Name == name })
	return found
}

func buildAndRun(m *testing.M) (code int, err error) {
	// What a killed daemon leaves behind becomes our child, so that leftovers can be told from other people's.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return 1, fmt.Errorf("become a subreaper: %w", err)
	}
	dir, err := os.MkdirTemp("", "pe-e2e-")
	if err != nil {
		return 1, err
	}
	// A machine's own user must be able to pass.
	if err := os.Chmod(dir, 0o755); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	bin = dir
	if err := os.Mkdir(temporary(), 0o777); err != nil {
		return 1, err
	}
	commands, err = hosttest.Build{Into: bin, Packages: []string{"../cmd/pe", "../cmd/ped", natsServer}}.Make()
	if err != nil {
		return 1, err
	}
	before := groups()
	code = m.Run()
	return code, errors.Join(stopShared(), leftovers(dir), leftGroups(before))
}

// leftovers is an error that names every process that a scenario left running,
// every temporary file, and every mount in or of the folder that all of them worked in.
func leftovers(dir string) error {
	var errs []error
	for _, p := range hosttest.Descendants(os.Getpid()) {
		errs = append(errs, fmt.Errorf("left running: %s (%d)", p.Name, p.PID))
		syscall.Kill(p.PID, syscall.SIGKILL)
	}
	files, err := os.ReadDir(temporary())
	for _, f := range files {
		errs = append(errs, fmt.Errorf("left in TMPDIR: %s", f.Name()))
	}
	errs = append(errs, err)
	mounts, err := hosttest.MountsOf(dir)
	for _, m := range mounts {
		errs = append(errs, fmt.Errorf("left mounted: %s (%s)", m.At, m.Source))
	}
	return errors.Join(append(errs, err)...)
}

// cache is the folder of everything that deploy/setup.sh fetched and built.
func cache(t *testing.T, elem ...string) string {
	t.Helper()
	dir := os.Getenv("PE_CACHE")
	if dir == "" {
		dir = filepath.Join("..", ".cache")
	}
	path, err := filepath.Abs(filepath.Join(append([]string{dir}, elem...)...))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		hosttest.Missing(t, "%v: run deploy/setup.sh --for test", err)
	}
	return path
}

// slow marks a scenario that takes minutes.
func slow(t *testing.T) {
	t.Helper()
	if !*long {
		t.Skip("takes minutes: run with -long or PE_LONG=1, as make test-all does")
	}
}
