package cli_test

import (
	"encoding/json"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/program-explorer/pe/executor/noop"
	"github.com/program-explorer/pe/producer"
	"github.com/program-explorer/pe/schemas"
)

// TestRunOnAFleet runs one job on all kinds of machine that two executors have.
func TestRunOnAFleet(t *testing.T) {
	t.Parallel()
	f := startFleet(t, "workshop", "board")
	f.executor("workshop", map[string]string{"site": "cellar"},
		noop.Config{Arch: "amd64", Stdout: []byte("little\n")}, noop.Config{Arch: "arm64", Stdout: []byte("little\n"), ExitCode: 3})
	f.executor("board", nil, noop.Config{Arch: "riscv64", Stdout: []byte("big\n")})

	f.pe(nil, "run", "--image", "x", "--on", "all").want(t, 3,
		`^amd64-container +succeeded +0 .* booted +workshop +j`, `^arm64-container +failed +3 `, `^riscv64-container +succeeded +0 .* board +j`,
		`^stdout, on amd64-container, arm64-container:\nlittle\n\nstdout, on riscv64-container:\nbig\n$`,
		`^exit codes differ: 0 on amd64-container, riscv64-container; 3 on arm64-container\nstdout differs: 2 versions$`)
	f.pe(nil, "run", "--image", "x", "--on", "amd64-container,riscv64-vm").want(t, 125,
		`^pe: nobody offers riscv64-vm\n  on offer: amd64-container, arm64-container, riscv64-container\n`)
	f.pe(nil, "run", "--image", "x", "--on", "any-container/site=cellar,any-container/executor:board").want(t, 0, `^stdout differs: 2 versions$`)
	f.pe(nil, "run", "--image", "x", "--on", "riscv64-container").want(t, 0, `^big$`, `^pe: job j`)
	f.pe(nil, "executors").want(t, 0, `^workshop +up +0/2 +.* amd64-container +noop +site=cellar\n +arm64-container +noop$`)

	s := f.pe(nil, "run", "--json", "--image", "x", "--on", "amd64-container,arm64-container")
	s.want(t, 3)
	var c producer.Comparison
	if err := json.Unmarshal([]byte(s.stdout), &c); err != nil || len(c.Runs) != 2 || c.Runs[1].Job.State != schemas.StateFailed || len(c.Versions.Ends) != 2 || c.Versions.Differ() == false {
		t.Errorf("%v: %s", err, s.stdout)
	}
}

// TestInterruptedOnAFleet: Ctrl-C ends the jobs on all targets, also one that
// waits for its turn, whose status says for what.
func TestInterruptedOnAFleet(t *testing.T) {
	t.Parallel()
	f := startFleet(t, "workshop", "board")
	f.executor("workshop", nil, noop.Config{Arch: "amd64", Run: time.Hour})
	f.executor("board", nil, noop.Config{Arch: "riscv64", Run: time.Hour})
	signals, done := make(chan os.Signal, 2), make(chan said)
	go func() { done <- f.pe(signals, "run", "--image", "x", "--on", "all") }()
	f.eventually("both are busy", func() bool { return jobsIn(f, schemas.StateRunning) == 2 })

	waits := f.pe(nil, "submit", "--image", "x", "--on", "amd64-container")
	waits.want(t, 0)
	id := waits.stdout[:len(waits.stdout)-1]
	f.eventually("the slot is seen to be busy", func() bool {
		return strings.Contains(f.pe(nil, "status", id).stdout, "for a free slot: all 1 that fit are busy, on workshop")
	})
	f.pe(nil, "cancel", id).want(t, 0)

	signals <- syscall.SIGINT
	(<-done).want(t, 130, `^pe: cancelling`, `^amd64-container +cancelled `, `^riscv64-container +cancelled `, `^nothing to compare`)
	if n := jobsIn(f, schemas.StateCancelled); n != 3 {
		t.Errorf("%d jobs were cancelled, want 3", n)
	}
}

func jobsIn(f *fleet, state schemas.State) int {
	f.Helper()
	c, err := producer.New(producer.Config{Server: f.url})
	if err != nil {
		f.Fatal(err)
	}
	n := 0
	for _, err := range c.List(f.Context(), producer.Filter{States: []schemas.State{state}}) {
		if err != nil {
			f.Fatal(err)
		}
		n++
	}
	return n
}
