package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// program is a command that is asked to end when ctx does, and has time to tidy up.
func program(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopTimeout
	return cmd
}

// execute runs a program to its end; what it printed is in the error.
func execute(ctx context.Context, name string, args ...string) error {
	out, err := program(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// command is a program that is measured from its start to its end.
type command struct {
	argv []string
	// dir it runs in.
	dir string
	// says is what it must print.
	says string
}

func (c command) contestant(row string, setup func(context.Context) error) contestant {
	return contestant{
		rows: []string{row},
		setup: func(ctx context.Context) (func() error, error) {
			if _, err := exec.LookPath(c.argv[0]); err != nil {
				return nil, errCannot{fmt.Errorf("%w (make setup LEVEL=bench)", err)}
			}
			return nil, setup(ctx)
		},
		once: func(ctx context.Context) (sample, error) {
			d, err := c.run(ctx)
			return took(row, milliseconds(d)), err
		},
	}
}

func (c command) run(ctx context.Context) (time.Duration, error) {
	cmd := program(ctx, c.argv[0], c.argv[1:]...)
	cmd.Dir = c.dir
	began := time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(began)
	if err == nil && !strings.Contains(string(out), c.says) {
		err = errors.New("it does not say " + c.says)
	}
	if err != nil {
		return took, fmt.Errorf("%s: %w: %s", strings.Join(c.argv, " "), err, strings.TrimSpace(string(out)))
	}
	return took, nil
}
