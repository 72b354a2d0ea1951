package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// controlSynced counts the system calls that wait for the disk, in the whole of
// ped up, by watching it with strace under load.
func controlSynced(b *box) contestant {
	const writes, states, jobs = "control.synced_writes", "control.synced_states", 1000
	return contestant{rows: []string{writes, states}, turns: 1, setup: b.start, once: func(ctx context.Context) (sample, error) {
		if err := b.jobs(ctx, controlClients); err != nil { // makes the pool
			return sample{}, err
		}
		if err := b.quiet(ctx); err != nil {
			return sample{}, err
		}
		trace := filepath.Join(b.dir, "strace")
		stop, err := watchSyncs(b.cmd.Process.Pid, trace)
		if err != nil {
			return sample{}, err
		}
		err = errors.Join(b.jobs(ctx, jobs), stop())
		text, readErr := os.ReadFile(trace)
		if err = errors.Join(err, readErr); err != nil {
			return sample{}, err
		}
		perJob := func(calls int) []float64 { return []float64{float64(calls) / jobs} }
		return sample{values: map[string][]float64{
			writes: perJob(len(syncs.FindAll(text, -1)) - len(stateSyncs.FindAll(text, -1))),
			// What consumers have delivered: files written whole, ten times a second at most.
			states: perJob(len(stateSyncs.FindAll(text, -1))),
		}}, nil
	}}
}

// All that wait for the disk, and those of the server's state of consumers, which
// it writes by itself and lets nobody wait for.
var (
	syncs      = regexp.MustCompile(`\bf(?:data)?sync\(|O_SYNC`)
	stateSyncs = regexp.MustCompile(`\bf(?:data)?sync\([0-9]+<[^>]*/obs/|/obs/[^"]*", [^)]*O_SYNC`)
)

// watchSyncs has strace write the calls of a process to a file until it is stopped.
func watchSyncs(pid int, file string) (stop func() error, err error) {
	if _, err := exec.LookPath("strace"); err != nil {
		return nil, errCannot{fmt.Errorf("%w (make setup LEVEL=bench)", err)}
	}
	cmd := exec.Command("strace", "-y", "-f", "-qq", "-e", "trace=fsync,fdatasync,openat", "-o", file, "-p", strconv.Itoa(pid))
	var says bytes.Buffer
	cmd.Stderr = &says
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	for begin := time.Now(); ; time.Sleep(pollEvery) {
		if tracerOf(pid) != 0 {
			break
		}
		if time.Since(begin) > stopTimeout {
			return nil, errCannot{fmt.Errorf("strace does not watch: %w: %s", errors.Join(cmd.Process.Kill(), cmd.Wait()), &says)}
		}
	}
	return func() error {
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			return err
		}
		_ = cmd.Wait() // it ends with the signal's code
		return nil
	}, nil
}

// tracerOf is who watches a process, or 0.
func tracerOf(pid int) int { return statusField(pid, "TracerPid:") }

// jobs has the clients run so many jobs between them.
func (b *box) jobs(ctx context.Context, n int) error {
	left := make(chan struct{}, n)
	for range n {
		left <- struct{}{}
	}
	close(left)
	return b.jobsFor(ctx, left)
}

// paced is jobs, of which at most rate begin in a second.
func (b *box) paced(ctx context.Context, n, rate int) error {
	left, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(left)
		tick := time.NewTicker(time.Second / time.Duration(rate))
		defer tick.Stop()
		for range n {
			<-tick.C
			select {
			case left <- struct{}{}:
			case <-ended: // every client, before its time
				return
			}
		}
	}()
	defer close(ended)
	return b.jobsFor(ctx, left)
}

// jobsFor has the clients run a job for each that is left, until one of theirs fails.
func (b *box) jobsFor(ctx context.Context, left <-chan struct{}) error {
	var group sync.WaitGroup
	errs := make([]error, controlClients)
	for i := range controlClients {
		group.Go(func() {
			for range left {
				if _, _, _, err := b.run(ctx, noopSpec); err != nil {
					errs[i] = err
					return
				}
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}
