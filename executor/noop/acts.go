package noop

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/program-explorer/pe/schemas/guestproto"
)

// Variables by which one job says how it pretends to run, over what the runner
// was configured with.
const (
	// EnvRun is how long it runs: 50ms, 2s.
	EnvRun = "NOOP_RUN"
	// EnvStdout is what it writes.
	EnvStdout = "NOOP_STDOUT"
	// EnvExit is its exit code, 0 to 255.
	EnvExit = "NOOP_EXIT"
	// EnvBreak is of how many in a hundred attempts the machine breaks after it ran.
	EnvBreak = "NOOP_BREAK"
)

// acts is what a job pretends to do.
type acts struct {
	run    time.Duration
	stdout []byte
	exit   guestproto.Exit
	// breaks is of how many in a hundred attempts the machine breaks.
	breaks uint64
}

// errBroke is what a machine says that was told to break.
var errBroke = errors.New("the machine broke, as " + EnvBreak + " says")

// of is what a job does here. The error is the job's, for its user.
func (c Config) of(job guestproto.Job) (acts, error) {
	a := acts{run: c.Run, stdout: c.Stdout, exit: guestproto.Exit{Code: c.ExitCode}}
	for _, pair := range job.Env {
		name, value, _ := strings.Cut(pair, "=")
		if err := a.set(name, value); err != nil {
			return a, fmt.Errorf("%s=%q: %w", name, value, err)
		}
	}
	if wall := time.Duration(job.Limits.WallMS) * time.Millisecond; wall > 0 && a.run > wall {
		a.run = wall
		a.exit = guestproto.Exit{Signal: int(syscall.SIGKILL), Limit: guestproto.LimitWall, LimitsHit: []string{guestproto.LimitWall}}
	}
	return a, nil
}

func (a *acts) set(name, value string) (err error) {
	switch name {
	case EnvRun:
		a.run, err = time.ParseDuration(value)
	case EnvStdout:
		a.stdout = []byte(value)
	case EnvExit:
		var code uint64
		code, err = strconv.ParseUint(value, 10, 8)
		a.exit.Code = int(code)
	case EnvBreak:
		a.breaks, err = strconv.ParseUint(value, 10, 7)
	}
	return err
}
