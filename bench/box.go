package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
)

// box is a real embedded system, started as its users start it. Contestants share it.
type box struct {
	config
	dir    string
	cmd    *exec.Cmd
	ended  chan error
	log    bytes.Buffer
	client *producer.Client
}

// start starts `ped up`, for whoever asks first.
func (b *box) start(ctx context.Context) (func() error, error) {
	if b.client != nil {
		return nil, nil
	}
	ready := filepath.Join(b.dir, "ready")
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return nil, err
	}
	b.cmd = exec.Command(filepath.Join(b.bin, "ped"), "up", "--listen=127.0.0.1:0", "--ready-file="+ready, "--slots=1", "--log-level=warn",
		"--data-dir="+filepath.Join(b.dir, "data"), "--guest-dir="+filepath.Join(b.cache, "guest"), "--catalog="+filepath.Join(b.cache, "catalog.yaml"))
	b.cmd.Stdout, b.cmd.Stderr = &b.log, &b.log
	if err := b.cmd.Start(); err != nil {
		return nil, err
	}
	b.ended = make(chan error, 1)
	go func() { b.ended <- b.cmd.Wait() }()
	address, err := b.await(ctx, ready)
	if err != nil {
		return nil, errors.Join(err, b.stop())
	}
	b.client, err = producer.New(producer.Config{Server: address})
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
			return "", fmt.Errorf("ped up ended: %w\n%s", err, b.log.Bytes())
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
		if err != nil {
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
