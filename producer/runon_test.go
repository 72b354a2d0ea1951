package producer_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/program-explorer/pe/producer"
	"github.com/program-explorer/pe/producer/internal/canned"
	"github.com/program-explorer/pe/schemas"
)

func targets(t *testing.T, names ...string) []producer.Target {
	t.Helper()
	list := make([]producer.Target, 0, len(names))
	for _, name := range names {
		target, err := producer.ParseTarget(name)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, target)
	}
	return list
}

// unlike is a client of a gateway that knows five kinds of machine.
func unlike(t *testing.T) (*producer.Client, *canned.Gateway) {
	t.Helper()
	g := canned.Start(t)
	g.Fleet(canned.FiveKinds())
	return client(t, g.URL), g
}

func TestRunOn(t *testing.T) {
	t.Parallel()
	c, _ := unlike(t)
	got, err := c.RunOn(t.Context(), schemas.JobSpec{Image: "uname"}, targets(t, "amd64-vm", "amd64-gvisor", "arm64"))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"amd64", "amd64", "arm64"} {
		if r := got.Runs[i]; r.Job.State != schemas.StateSucceeded || r.Job.Result.Stdout.Text != want+"\n" {
			t.Errorf("%s: %+v", r.Name, r.Job)
		}
	}
	v := got.Versions
	two, one := []string{"amd64-vm", "amd64-gvisor"}, []string{"arm64"}
	switch {
	case !reflect.DeepEqual(v.Compared, []string{"amd64-vm", "amd64-gvisor", "arm64"}), !v.Differ(),
		!reflect.DeepEqual(v.Ends, []producer.Version{{Value: "0", On: v.Compared}}),
		len(v.Stdout) != 2 || !reflect.DeepEqual(v.Stdout[0].On, two) || !reflect.DeepEqual(v.Stdout[1].On, one),
		len(v.Stderr) != 1, v.SameOutputs != 1:
		t.Errorf("%+v", v)
	}
	if o := v.Outputs; len(o) != 2 || o[0].Path != "a.out" || len(o[0].Versions) != 2 || o[1].Versions[1].Value != "" || !reflect.DeepEqual(o[1].Versions[1].On, one) {
		t.Errorf("outputs %+v", v.Outputs)
	}
}

func TestSubmitOnIsAllOrNothing(t *testing.T) {
	t.Parallel()
	c, g := unlike(t)
	_, err := c.SubmitOn(t.Context(), schemas.JobSpec{Image: "echo"}, targets(t, "amd64", "arm64-gvisor", "riscv64"))
	var nobody *producer.UnofferedError
	if !errors.As(err, &nobody) || !reflect.DeepEqual(nobody.Targets, []string{"arm64-gvisor", "riscv64"}) || len(nobody.Offered) != 5 {
		t.Errorf("%+v", err)
	}
	if n := asked(g, "POST /v1/jobs"); n != 0 {
		t.Errorf("%d jobs were posted", n)
	}

	_, err = c.SubmitOn(t.Context(), schemas.JobSpec{Image: "amd64only"}, targets(t, "amd64-vm", "arm64", "amd64-gvisor"))
	var refused *producer.TargetError
	var p *schemas.ProblemDocument
	if !errors.As(err, &refused) || refused.Target != "arm64" || !errors.As(err, &p) || p.Status != 422 {
		t.Errorf("%+v", err)
	}
	if n := asked(g, "DELETE /v1/jobs/"); n != 2 {
		t.Errorf("%d jobs were cancelled, want the 2 others", n)
	}
	for _, list := range [][]producer.Target{nil, targets(t, "amd64", "amd64"), make([]producer.Target, producer.MaxTargets+1)} {
		if _, err := c.SubmitOn(t.Context(), schemas.JobSpec{Image: "echo"}, list); err == nil {
			t.Errorf("%d targets were taken", len(list))
		}
	}
}

// TestWatchSeesEveryTarget also ends what it watches by its context alone: the jobs go on.
func TestWatchSeesEveryTarget(t *testing.T) {
	t.Parallel()
	c, g := unlike(t)
	runs, err := c.SubmitOn(t.Context(), schemas.JobSpec{Image: "slow", IdempotencyKey: "k"}, targets(t, "amd64", "arm64"))
	if err != nil || runs[0].Job.ID == runs[1].Job.ID {
		t.Fatalf("%+v, %v", runs, err)
	}
	if key := runs[1].Job.Spec.IdempotencyKey; key != "k@arm64" {
		t.Errorf("key %q", key)
	}
	ctx, cancel := context.WithCancel(t.Context())
	seen := make(chan int, 100)
	done := make(chan error)
	go func() {
		done <- c.WaitOn(ctx, runs, func(i int, e producer.Event) {
			if e.Kind == schemas.StreamStdout {
				seen <- i
			}
		})
	}()
	if first, second := <-seen, <-seen; first == second {
		t.Errorf("one target was seen twice: %d", first)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "arm64: ") {
		t.Errorf("%v", err)
	}
	if n := asked(g, "DELETE"); n != 0 {
		t.Errorf("%d jobs were cancelled", n)
	}
	if err := c.CancelOn(t.Context(), runs); err != nil {
		t.Error(err)
	}
	if err := c.WaitOn(t.Context(), runs, nil); err != nil || runs[0].Job.State != schemas.StateCancelled || runs[1].Job.State != schemas.StateCancelled {
		t.Errorf("%+v, %v", runs, err)
	}
}

func asked(g *canned.Gateway, prefix string) int {
	n := 0
	for _, r := range g.Requests() {
		if strings.HasPrefix(r, prefix) {
			n++
		}
	}
	return n
}
