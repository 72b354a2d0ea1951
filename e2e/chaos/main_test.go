package chaos

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/program-explorer/pe/internal/hosttest"
)

var (
	long = flag.Bool("chaos.long", false, "the long run, as `make chaos` does it")
	jobs = flag.Int("chaos.jobs", 10_000, "how many jobs the long run submits")
	last = flag.Duration("chaos.budget", 50*time.Minute, "how long the long run may take in all; it stops submitting and striking 9 minutes before, and judges what there is")
	seed = flag.Uint64("chaos.seed", 0, "repeat the choices of a run; 0: new ones")
	out  = flag.String("chaos.out", "", "`folder` to leave history, table and logs in; default: the test's own")
	anew = flag.Bool("chaos.anew", false, "remove what an earlier run left in -chaos.out, also one that was cut off")
)

var (
	// bin is the folder of the commands under test, built once.
	bin string
	// commands are what is in it.
	commands *hosttest.Programs
)

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := buildAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		code = 1
	}
	os.Exit(code)
}

func buildAndRun(m *testing.M) (code int, err error) {
	// What a killed process leaves behind becomes our child, and so is found.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return 1, fmt.Errorf("become a subreaper: %w", err)
	}
	if bin, err = os.MkdirTemp("", commandsPrefix); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(bin)) }()
	held, err := claimCommands(bin)
	if err != nil {
		return 1, err
	}
	defer held.Close()
	// A machine's own user must be able to pass.
	if err := errors.Join(os.Chmod(bin, 0o755), os.Mkdir(temporary(), 0o777)); err != nil {
		return 1, err
	}
	commands, err = hosttest.Build{Into: bin, Packages: []string{"../../cmd/ped", "github.com/nats-io/nats-server/v2"}}.Make()
	if err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// temporary is the folder of the processes' temporary files, in which nothing may be left.
func temporary() string { return filepath.Join(bin, "tmp") }
