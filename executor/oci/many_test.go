//go:build linux

package oci

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/program-explorer/pe/executor"
)

// Machines that are made, run and end at the same time don't get in each other's way.
func TestMany(t *testing.T) {
	forKinds(t, func(t *testing.T, kind string) {
		r, img := newRunner(t, kind, nil), image(t, "busybox")
		var all sync.WaitGroup
		for n := range 6 {
			all.Go(func() {
				for i := range 4 {
					job := shell(fmt.Sprintf("echo %d-%d; echo $(hostname) > /output/name", n, i))
					got := runJob(t, r, shapeOf(t, img), job)
					if got.stdout != fmt.Sprintf("%d-%d\n", n, i) || got.files["name"] == "" {
						t.Errorf("stdout %q, files %q", got.stdout, got.files)
					}
				}
			})
		}
		all.Wait()
	})
}

// However far a machine has got when it is not wanted any more, nothing of it stays: the runner's end looks.
func TestCancelledStartLeavesNothing(t *testing.T) {
	forKinds(t, func(t *testing.T, kind string) {
		r, img := newRunner(t, kind, nil), image(t, "busybox")
		for range 12 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(100))*time.Millisecond)
			m, err := r.Start(ctx, shapeOf(t, img))
			if err != nil {
				t.Fatal(err)
			}
			_, err = m.Run(ctx, executor.Work{Job: shell("sleep 100"), Stage: func(string) {}, Stdout: func([]byte) {}, Stderr: func([]byte) {}})
			if err == nil {
				t.Error("a cancelled start ran a job for 100 s")
			}
			if err := m.Close(); err != nil {
				t.Error(err)
			}
			cancel()
		}
		if left := processesOf(t, "job-"); len(left) != 0 {
			t.Errorf("processes %d live", left)
		}
	})
}
