package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/program-explorer/pe/internal/hosttest"
	"github.com/program-explorer/pe/producer"
	"github.com/program-explorer/pe/schemas"
)

// killWindow is how long after its start a system is killed at the latest: by then it has
// baked, restored, filled its pool, and runs a job.
const killWindow = 6 * time.Second

// TestKilledAtRandomMoments kills a system while it starts, bakes, restores, fills its pool or
// runs a job. The next start leaves no machine, no group, no temporary file and no half snapshot,
// and the job ends as if nothing had been.
func TestKilledAtRandomMoments(t *testing.T) {
	t.Parallel()
	rounds := 6
	if *long {
		rounds = 50
	}
	random, dir := hosttest.Seeded(t), t.TempDir()
	before := groups()
	for round := range rounds {
		moment := time.Duration(random.Int64N(int64(killWindow)))
		// Every other time there is something to bake.
		job, machines := killAfter(t, dir, moment, warmCatalog(t, dir, round/2))
		t.Logf("round %d: killed after %v: job %q, %d machines, leaving %q", round, moment.Round(time.Millisecond), job, len(machines), halfDone(dir))
		for _, pid := range machines {
			eventually(t, "a machine ends with its daemon", func() bool { return !hosttest.Running(pid) })
		}
		s := upIn(t, dir, "--catalog", warmCatalog(t, dir, round/2), "--pool-memory", "0")
		if job != "" {
			s.wait(t, job, schemas.StateSucceeded)
		}
		s.noMachines(t)
		s.nothingLeft(t, before)
		if err := s.stop(); err != nil {
			t.Fatal(err)
		}
		if t.Failed() {
			t.FailNow()
		}
	}
}

// halfDone lists what a killed system had no time to remove.
func halfDone(dir string) (names []string) {
	for _, files := range transient {
		left, _ := filepath.Glob(filepath.Join(dir, "data", files))
		for _, path := range left {
			name := filepath.Base(path)
			names = append(names, filepath.Dir(files)+"/"+name[:min(len(name), 16)])
		}
	}
	return names
}

// transient are the files of a data directory that are not there when nothing goes on.
var transient = []string{"run/*/*/*", "snapshots/baking/*", "snapshots/broken/*", "executor/attempts/*", "images/tmp/*", "objects/tmp/*"}

// warmCatalog has machines wait for busybox, with a warm-up that only this version has.
func warmCatalog(t *testing.T, dir string, version int) string {
	t.Helper()
	path := filepath.Join(dir, "warm.yaml")
	text := fmt.Sprintf(`images:
  busybox:
    reference: %s
    warmup:
      - argv: [sh, -c, "echo %d > /etc/version"]
    pool: {min: 2, max: 3}
`, registryHas(t, "busybox"), version)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// killAfter starts a system, gives it a job as soon as it takes one, and kills it. It
// returns the job, if one was accepted, and the machines that there were.
func killAfter(t *testing.T, dir string, moment time.Duration, catalog string) (job string, machines []int) {
	t.Helper()
	end := time.Now().Add(moment)
	d, err := launch("ped", upArgs(t, dir, "--catalog", catalog, "--pool-memory", "2GiB")...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.kill()
		if t.Failed() {
			t.Logf("the killed system said:\n%s", tail(d.log.String(), 4<<10))
		}
	})
	for job == "" && time.Now().Before(end) {
		if text, err := os.ReadFile(filepath.Join(dir, "ready")); err == nil {
			job = trySubmit(t, strings.TrimSpace(string(text)))
		}
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(time.Until(end))
	if err, ended := d.ended(); ended {
		t.Fatalf("it ended by itself: %v", err)
	}
	machines = d.machines()
	d.kill()
	return job, machines
}

// trySubmit returns a job's id; none if the system is not ready yet.
func trySubmit(t *testing.T, url string) string {
	client, err := producer.New(producer.Config{Server: url})
	if err != nil {
		return ""
	}
	job, err := client.Submit(t.Context(), schemas.JobSpec{Image: "busybox", Args: []string{"sh", "-c", "cat /etc/version; sleep 2"}})
	if err != nil {
		return ""
	}
	return job.ID
}

// nothingLeft looks at a system that has nothing to do.
func (s system) nothingLeft(t *testing.T, before []string) {
	t.Helper()
	for _, files := range transient {
		pattern := filepath.Join(s.dir, "data", files)
		eventually(t, "there is no "+pattern, func() bool {
			left, err := filepath.Glob(pattern)
			return len(left) == 0 && err == nil
		})
	}
	eventually(t, "no group is left", func() bool { return leftGroups(before) == nil })
	// A whole one, though, may have been made before a kill.
	verify := exec.CommandContext(t.Context(), commands.Path("ped"), "vm", "verify", "--data-dir", filepath.Join(s.dir, "data"))
	verify.Env = environment()
	runCommand(t, verify).want(t, 0)
}
