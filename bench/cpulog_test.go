package main

import (
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/program-explorer/pe/schemas"
)

func TestProcessorTimeIsDividedAmongSpans(t *testing.T) {
	at := func(ms int64) time.Time { return time.UnixMilli(1000 + ms) }
	var log cpuLog
	// ped uses half of the time, the machine all of it after 10 ms.
	for ms := range int64(31) {
		log = append(log, cpuReading{at: at(ms), self: time.Duration(ms) * time.Millisecond / 2, machine: time.Duration(max(0, ms-10)) * time.Millisecond})
	}
	spans := []schemas.Span{
		{Name: "queued", StartUS: at(0).UnixMicro(), EndUS: at(10).UnixMicro()},
		{Name: "running", StartUS: at(10).UnixMicro(), EndUS: at(20).UnixMicro()},
	}
	l := life{job: schemas.Job{Result: &schemas.Result{Spans: spans}}, began: at(0), ended: at(24)}
	got := make(map[string][]float64)
	log.attribute(l, got)
	for name, want := range map[string]float64{"queued": 5, "running": 15, "ped": 12, "machine": 14, "unexplained": 6} {
		if values := got[cpuPrefix+name]; len(values) != 1 || values[0] != want {
			t.Errorf("%s: got %v ms, want %v", name, values, want)
		}
	}
}

func TestClocksOfAFamily(t *testing.T) {
	child := exec.Command("sleep", "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = child.Process.Kill()
		_ = child.Wait()
	})
	if all := family(os.Getpid()); all[0] != os.Getpid() || !slices.Contains(all, child.Process.Pid) {
		t.Errorf("family of %d is %v, without its child %d", os.Getpid(), all, child.Process.Pid)
	}
	before := cpuClock(os.Getpid())
	for until := time.Now().Add(20 * time.Millisecond); time.Now().Before(until); {
	}
	if used := cpuClock(os.Getpid()) - before; used < 5*time.Millisecond {
		t.Errorf("20 ms of work used %v", used)
	}
	if cpuClock(child.Process.Pid) <= 0 {
		t.Error("another process has no clock")
	}
}
