package chaos

import (
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/program-explorer/pe/e2e/chaos/natstap"
	"github.com/program-explorer/pe/e2e/chaos/s3tap"
	"github.com/program-explorer/pe/internal/hosttest"
	"github.com/program-explorer/pe/internal/objstore/s3test"
	"github.com/program-explorer/pe/producer"
	"github.com/program-explorer/pe/schemas"
)

// TestStoreAway: a store that answers 503, or whose disk is full, costs no job an
// attempt: what was made waits for it, and no other job is taken meanwhile. It
// is not parallel to TestChaos, to which its processes would be left over.
func TestStoreAway(t *testing.T) {
	if _, err := s3test.Find("versitygw"); err != nil {
		hosttest.Missing(t, "%v", err)
	}
	t.Run("away", func(t *testing.T) {
		t.Parallel()
		s := startStored(t)
		s.costsNothing(t, func() error { s.away.Store(true); return nil }, func() error { s.away.Store(false); return nil })
	})
	t.Run("full", func(t *testing.T) {
		t.Parallel()
		if os.Geteuid() != 0 {
			hosttest.Missing(t, "a disk to fill wants root")
		}
		s := startStored(t)
		s.costsNothing(t, s.s3.disk.fill, s.s3.disk.free)
	})
}

// stored is a small system whose store can be away.
type stored struct {
	*system
	client *producer.Client
	away   atomic.Bool
	puts   atomic.Int32 // of executors
}

func startStored(t *testing.T) *stored {
	t.Helper()
	writeConfig(t)
	s := &stored{}
	pass := func(natstap.Message) natstap.Fate { return natstap.Pass }
	var err error
	s.system, err = startSystem(t.Context(), t.TempDir(), setup{gateways: 1, noops: 1},
		judges{nats: func(string, bool) natstap.Judge { return pass }, s3: s.judge})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(s.executors[0].tail(4 << 10))
		}
	})
	s.client, err = producer.New(producer.Config{Server: s.urls[0], Token: tenants["ant"], Patience: patience})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *stored) judge(r s3tap.Request) s3tap.Fate {
	if r.Signed && r.Method == "PUT" {
		s.puts.Add(1)
	}
	if s.away.Load() {
		return s3tap.Fate{Status: 503}
	}
	return s3tap.Fate{}
}

// costsNothing has one job's output meet a store that is away, and a second job wait for its end.
func (s *stored) costsNothing(t *testing.T, begin, end func() error) {
	t.Helper()
	if err := begin(); err != nil {
		t.Fatal(err)
	}
	first := s.submit(t)
	s.wait(t, "the executor notices", func() bool {
		return strings.Contains(s.executors[0].tail(64<<10), "the object store is away or has no room")
	})
	second, before := s.submit(t), s.puts.Load()
	s.wait(t, "the first job's output is tried again", func() bool { return s.puts.Load() >= before+3 })
	if job, err := s.client.Job(t.Context(), second); err != nil || len(job.Attempts) > 0 {
		t.Errorf("the second job was taken: %+v, %v", job.Attempts, err)
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{first, second} {
		job, err := s.client.Wait(t.Context(), id)
		if err != nil || job.State != schemas.StateSucceeded || len(job.Attempts) != 1 {
			t.Errorf("job %s is %s after %d attempts (%+v): %v", id, job.State, len(job.Attempts), job.Failure, err)
		}
	}
}

// submit returns the id of a job whose input, which needs no store, becomes its output, which does.
func (s *stored) submit(t *testing.T) string {
	t.Helper()
	job, err := s.client.Submit(t.Context(), schemas.JobSpec{
		Image: "nothing", Requires: schemas.Requires{Isolation: schemas.IsolationContainer, Kernel: schemas.KernelNoop},
		Files: map[string]schemas.File{"in": text("becomes an output")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return job.ID
}

func (s *stored) wait(t *testing.T, what string, holds func() bool) {
	t.Helper()
	if err := await(t.Context(), what, holds); err != nil {
		t.Fatal(err)
	}
}
