package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/program-explorer/pe/producer"
	"github.com/program-explorer/pe/schemas"
)

const (
	// readyTimeout bounds the start of the embedded system, the trial boots included.
	readyTimeout = 2 * time.Minute
	// stopTimeout bounds its clean end.
	stopTimeout = 30 * time.Second
	pollEvery   = 20 * time.Millisecond
	// primings bounds the jobs that get a box ready.
	primings = 6
	// quietPeriod is what quiet looks at, twice; a tenth of it may be used.
	quietPeriod  = 100 * time.Millisecond
	quietTimeout = time.Minute
)

// box is a real embedded system, started as its users start it. Contestants share it.
type box struct {
	config
	dir string
	// flags are added to those of `ped up`; starts is how its machines then come to
	// be: booted, restored, or pooled.
	flags  []string
	starts string
	cmd    *exec.Cmd
	ended  chan error
	log    bytes.Buffer
	client *producer.Client
	// http is the client's; nil for its own.
	http *http.Client
}

// start starts `ped up`, for whoever asks first.
func (b *box) start(ctx context.Context) (func() error, error) {
	if b.client != nil {
		return nil, nil
	}
	ready := filepath.Join(b.dir, "ready")
	// That of an earlier start says nothing of this one.
	if err := errors.Join(os.RemoveAll(ready), os.MkdirAll(b.dir, 0o700)); err != nil {
		return nil, err
	}
	argv := append([]string{"up", "--listen=127.0.0.1:0", "--ready-file=" + ready, "--slots=1", "--log-level=warn"}, b.flags...)
	b.cmd = exec.Command(b.ped(), append(argv, b.dirs(filepath.Join(b.dir, "data"))...)...)
	b.cmd.Stdout, b.cmd.Stderr = &b.log, &b.log
	if err := b.cmd.Start(); err != nil {
		return nil, err
	}
	b.ended = make(chan error, 1)
	go func() { b.ended <- b.cmd.Wait() }()
	address, err := b.await(ctx, ready)
	if err != nil {
		return b.stop, err
	}
	b.client, err = producer.New(producer.Config{Server: address, HTTPClient: b.http})
	return b.stop, err
}

// await polls for the file that ped writes when it is ready.
func (b *box) await(ctx context.Context, ready string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for {
		if address, err := os.ReadFile(ready); err == nil && bytes.HasSuffix(address, []byte("\n")) {
			return strings.TrimSpace(string(address)), nil
		}
		select {
		case err := <-b.ended:
			b.ended <- err
			return "", fmt.Errorf("ped up ended: %w: %s", err, b.log.Bytes())
		case <-ctx.Done():
			return "", fmt.Errorf("ped up is not ready: %w", ctx.Err())
		case <-time.After(pollEvery):
		}
	}
}

func (b *box) stop() error {
	if err := b.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case err := <-b.ended:
		if err != nil && b.client != nil {
			return fmt.Errorf("ped up: %w\n%s", err, b.log.Bytes())
		}
		return nil
	case <-time.After(stopTimeout):
		return errors.Join(errors.New("ped up did not stop"), b.cmd.Process.Kill())
	}
}

// run submits a job and returns it when its result is there, with the time on this side's clock.
func (b *box) run(ctx context.Context, spec schemas.JobSpec) (job schemas.Job, began, ended time.Time, err error) {
	began = time.Now()
	job, err = b.client.Run(ctx, spec)
	ended = time.Now()
	switch {
	case err != nil:
	case job.State != schemas.StateSucceeded:
		err = fmt.Errorf("job %s: %s: %+v %+v", job.ID, job.State, job.Outcome, job.Failure)
	case job.Result == nil:
		err = fmt.Errorf("job %s has no result", job.ID)
	}
	return job, began, ended, err
}

// prime runs a job until its machine comes to be as all of this box are to.
func (b *box) prime(ctx context.Context, spec schemas.JobSpec) error {
	var how string
	for range primings {
		job, _, _, err := b.run(ctx, spec)
		if err != nil {
			return err
		}
		if how = job.Result.RanOn.Start; how == b.starts {
			return b.quiet(ctx)
		}
		if err := b.quiet(ctx); err != nil {
			return err
		}
	}
	return fmt.Errorf("after %d jobs of image %s its machine is %s, not %s: %s", primings, spec.Image, how, b.starts, b.log.Bytes())
}

// quiet waits until the box has done what it does between jobs: until all its
// processes together use next to nothing.
func (b *box) quiet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, quietTimeout)
	defer cancel()
	used := cpuOf(family(b.cmd.Process.Pid))
	for calm := 0; calm < 2; {
		select {
		case <-ctx.Done():
			return fmt.Errorf("ped up is still busy after its last job: %w", ctx.Err())
		case <-time.After(quietPeriod):
		}
		now := cpuOf(family(b.cmd.Process.Pid))
		calm++
		if now-used > quietPeriod/10 {
			calm = 0
		}
		used = now
	}
	return nil
}
