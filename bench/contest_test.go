package main

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// stub measures a constant.
func stub(row string, value float64, log *[]string) contestant {
	return contestant{
		rows:  []string{row},
		setup: func(context.Context) (func() error, error) { return nil, nil },
		once: func(context.Context) (sample, error) {
			*log = append(*log, row)
			return took(row, value), nil
		},
	}
}

const cold, podmanRow = "job.cold.gcc_version", "podman.gcc_version"

func TestRowsAreInterleavedAndCompared(t *testing.T) {
	var log []string
	all := []contestant{stub(cold, 200, &log), stub("runc.gcc_version", 1, &log), stub(podmanRow, 100, &log)}
	filter := regexp.MustCompile("^job")
	m, err := interleave(t.Context(), pick(all, filter), 2)
	if err != nil {
		t.Fatal(err)
	}
	// What a wanted row is compared with runs too; the first round warms up.
	if diff := cmp.Diff([]string{cold, podmanRow, cold, podmanRow, cold, podmanRow}, log); diff != "" {
		t.Error(diff)
	}
	want := []Row{{Name: cold, Unit: "ms", Median: 200, Min: 200, Max: 200, Runs: 2, Against: podmanRow, Ratio: 2}}
	if diff := cmp.Diff(want, summarize(m, filter)); diff != "" {
		t.Error(diff)
	}
}

func TestSlowOnesHaveFewerTurns(t *testing.T) {
	for turns, want := range map[int]int{0: 6, 1: 1, 3: 4} {
		var log []string
		c := stub(cold, 1, &log)
		c.turns = turns
		m, err := interleave(t.Context(), []contestant{c}, 5)
		if err != nil {
			t.Fatal(err)
		}
		measured := want - 1
		if turns == 1 {
			measured = 1
		}
		if len(log) != want || len(m.values[cold]) != measured {
			t.Errorf("%d turns of 5: ran %d times, %d measured", turns, len(log), len(m.values[cold]))
		}
	}
}

// Whoever fails is out, with all it measured; the others go on, and what was prepared is undone.
func TestWhatIsNotMeasuredIsSaid(t *testing.T) {
	var log []string
	undone := 0
	undo := func() error { undone++; return nil }
	cannot := stub("snapshot.load_store.xfs", 1, &log)
	cannot.setup = func(context.Context) (func() error, error) { return undo, errCannot{errors.New("no mkfs.xfs")} }
	breaks := stub("job.warm.gcc_version", 1, &log)
	breaks.setup = func(context.Context) (func() error, error) { return undo, nil }
	breaks.once = func(context.Context) (sample, error) {
		if len(log) >= 2 {
			return sample{}, errors.New("it broke")
		}
		return took("job.warm.gcc_version", 1), nil
	}
	m, err := interleave(t.Context(), []contestant{cannot, breaks, stub(podmanRow, 100, &log)}, 3)
	if err != nil {
		t.Fatal(err)
	}
	if undone != 2 {
		t.Errorf("%d of 2 set-ups were undone", undone)
	}
	if len(m.broken) != 1 || !strings.Contains(m.broken[0].Error(), "it broke") {
		t.Errorf("broken: %v", m.broken)
	}
	got := make(map[string]string)
	for _, r := range summarize(m, regexp.MustCompile("")) {
		got[r.Name] = r.NotMeasured
	}
	want := map[string]string{podmanRow: "", "job.warm.gcc_version": "it broke", "snapshot.load_store.xfs": "no mkfs.xfs"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSoakRunsOnlyWhenAskedFor(t *testing.T) {
	c := stub("soak.restores", 1, &[]string{})
	c.asked = true
	for filter, want := range map[string]int{"": 0, "^job": 0, "soak": 1} {
		if got := len(pick([]contestant{c}, regexp.MustCompile(filter))); got != want {
			t.Errorf("filter %q: picked %d, want %d", filter, got, want)
		}
	}
}
