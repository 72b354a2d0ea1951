package e2e

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/program-explorer/pe/internal/hosttest"
	"github.com/program-explorer/pe/internal/objstore/s3test"
	"github.com/program-explorer/pe/schemas"
)

// TestMainJobOverS3 is the same job with its objects in a real S3 service.
func TestMainJobOverS3(t *testing.T) {
	t.Parallel()
	s3 := s3test.Start(t)
	s := up(t, s3Args(s3, s3.Endpoint)...)
	mainJob(t, s.server)
	largeBinary(t, s.server, 20<<20)
}

// TestApart is a system that has outgrown one machine: queue, store, gateway
// and two executors, each a process of its own; and then one of them is lost.
func TestApart(t *testing.T) {
	t.Parallel()
	s3 := s3test.Start(t)
	queue := startNATS(t, 0, "cellar", "attic")
	s := startGateway(t, queue, s3Args(s3, s3.Endpoint), "127.0.0.1:0")
	early := s.submit(t, "echo nobody was here")
	s.pe(t, "status", early).want(t, 0).says(t, "queued", "no executor")
	home := t.TempDir()
	cellar := startExecutor(t, queue, "cellar", home)
	s.waitExecutors(t, "cellar")
	s.wait(t, early, schemas.StateSucceeded)
	mainJob(t, s.server)

	id := s.submit(t, "echo begun; sleep 5; echo finished")
	s.started(t, id, "begun")
	machines := cellar.machines()
	cellar.kill()
	for _, pid := range machines {
		eventually(t, "a machine ends with its executor", func() bool { return !hosttest.Running(pid) })
	}
	startExecutor(t, queue, "attic", t.TempDir())
	job := s.wait(t, id, schemas.StateSucceeded)
	if len(job.Attempts) != 2 || job.Attempts[0].Executor != "cellar" || job.Attempts[1].Executor != "attic" {
		t.Fatalf("attempts are %+v, want one in the cellar and one in the attic", job.Attempts)
	}
	if f := job.Attempts[0].Failure; f == nil || f.Code != schemas.FailLost {
		t.Errorf("the first attempt failed with %+v, want code %s", f, schemas.FailLost)
	}
	if job.Result == nil || job.Result.Stdout.Text != "begun\nfinished\n" {
		t.Errorf("the result is %+v", job.Result)
	}
	startExecutor(t, queue, "cellar", home) // it sweeps up what it left when it was killed
	s.waitExecutors(t, "attic", "cellar")
	s.pe(t, "run", "--image", "busybox", "--executor", "cellar", "--on", "place=cellar", "--", "echo", "back").want(t, 0).says(t, "back\n")
}

// TestGatewayKilledInMidRun: the job goes on without one, and so does the
// client that follows it, when another is there.
func TestGatewayKilledInMidRun(t *testing.T) {
	t.Parallel()
	s3 := s3test.Start(t)
	queue := startNATS(t, 0, "attic")
	address := closedDoor(t, "").address
	s := startGateway(t, queue, s3Args(s3, s3.Endpoint), address)
	executor := startExecutor(t, queue, "attic", t.TempDir())
	s.waitExecutors(t, "attic")
	dir := t.TempDir()
	ends := make(chan ended, 1)
	go func() {
		ends <- s.peIn(t, dir, nil, "run", "--image", "busybox", "--output", "out", "--", "sh", "-c", "sleep 4; echo finished | tee /output/file")
	}()
	executor.says(t, "machine started")
	s.kill()
	startGateway(t, queue, s3Args(s3, s3.Endpoint), address)
	(<-ends).want(t, 0).says(t, "finished\n")
	if got := string(read(t, dir, "out/file")); got != "finished\n" {
		t.Errorf("the output is %q", got)
	}
}

func startGateway(t *testing.T, queue nats, store []string, listen string) system {
	t.Helper()
	s := system{dir: t.TempDir()}
	ready := filepath.Join(s.dir, "ready")
	args := []string{"gateway", "--listen", listen, "--ready-file", ready,
		"--catalog", catalog(t, s.dir), "--allow-loopback-registry"}
	s.daemon = served(t, "ped", slices.Concat(args, queue.as("gateway"), store)...)
	url, err := s.readyIn(ready)
	if err != nil {
		t.Fatal(err)
	}
	s.url = url
	return s
}

// startExecutor runs one with its state in a folder.
func startExecutor(t *testing.T, queue nats, id, dir string) *daemon {
	t.Helper()
	args := []string{"executor", "--executor-id", id, "--data-dir", filepath.Join(dir, "data"),
		"--guest-dir", guests(t), "--catalog", catalog(t, dir), "--allow-loopback-registry", "--slots", "1", "--label", "place=" + id}
	return served(t, "ped", append(args, queue.as(id)...)...)
}

// waitExecutors waits until the client lists these executors.
func (s server) waitExecutors(t *testing.T, ids ...string) {
	t.Helper()
	eventually(t, "executors "+strings.Join(ids, ", ")+" are there", func() bool {
		fleet, err := s.client(t).Executors(t.Context())
		return err == nil && !slices.ContainsFunc(ids, func(id string) bool {
			return !slices.ContainsFunc(fleet, func(e schemas.Executor) bool { return e.Executor == id && e.State == "up" })
		})
	})
}
