package e2e

import (
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/program-explorer/pe/internal/objstore/s3test"
)

// refuses runs ped until it ends by itself, which it must, with an error that says all of this.
func refuses(t *testing.T, args []string, says ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), commands.Path("ped"), args...)
	cmd.Env = environment()
	e := runCommand(t, cmd)
	if e.code != 1 && e.code != 2 {
		t.Errorf("exit code %d, want 1 or 2", e.code)
	}
	e.says(t, says...)
}

func TestPortTaken(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	refuses(t, upArgs(t, t.TempDir(), "--listen", l.Addr().String()), l.Addr().String(), "in use")
}

func TestDataDirectoryInUse(t *testing.T) {
	t.Parallel()
	s := shared(t)
	data := filepath.Join(s.dir, "data")
	refuses(t, upArgs(t, t.TempDir(), "--data-dir", data), "in use", data, strconv.Itoa(s.pid()))
}

func TestListenElsewhereWantsToken(t *testing.T) {
	t.Parallel()
	refuses(t, upArgs(t, t.TempDir(), "--listen", "0.0.0.0:0"), "token")
}

func TestNoGuest(t *testing.T) {
	t.Parallel()
	refuses(t, upArgs(t, t.TempDir(), "--guest-dir", t.TempDir()), "setup.sh")
}

// TestStoreComesLater: S3 is not there at the start, ped says so in a line and goes on when it is.
func TestStoreComesLater(t *testing.T) {
	t.Parallel()
	s3 := s3test.Start(t)
	door := closedDoor(t, strings.TrimPrefix(s3.Endpoint, "http://"))
	s := system{dir: t.TempDir()}
	s.daemon = served(t, "ped", upArgs(t, s.dir, s3Args(s3, "http://"+door.address)...)...)
	s.says(t, "cannot be reached")
	s.says(t, door.address)
	door.open(t)
	s.works(t)
}

// TestQueueComesLater is the same with NATS.
func TestQueueComesLater(t *testing.T) {
	t.Parallel()
	door := closedDoor(t, "")
	s := system{dir: t.TempDir()}
	queue := nats{address: door.address, keys: t.TempDir()}
	queue.key(t, "gateway")
	s.daemon = served(t, "ped", upArgs(t, s.dir, queue.as("gateway")...)...)
	s.says(t, "cannot be reached")
	s.says(t, door.address)
	port, err := strconv.Atoi(door.address[strings.LastIndexByte(door.address, ':')+1:])
	if err != nil {
		t.Fatal(err)
	}
	queue.start(t, port)
	s.works(t)
}

// works waits until a system that was started is ready, and runs a job.
func (s system) works(t *testing.T) {
	t.Helper()
	url, err := s.ready()
	if err != nil {
		t.Fatal(err)
	}
	s.url = url
	s.pe(t, "run", "--image", "busybox", "--", "echo", "at last").want(t, 0).says(t, "at last\n")
}
