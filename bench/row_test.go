package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMedian(t *testing.T) {
	for want, values := range map[float64][]float64{2: {3, 1, 2}, 2.5: {4, 1, 3, 2}, 7: {7}} {
		if got := median(values); got != want {
			t.Errorf("median of %v: got %v, want %v", values, got, want)
		}
	}
}

func TestStagesComeInTheOrderOfAJobsLife(t *testing.T) {
	got := inOrder([]string{"stage.unexplained", "stage.running", "stage.warm.cpu.running", "stage.warm.running", "stage.queued", "vm.boot.amd64", "job.cold.gcc_version"})
	want := []string{"job.cold.gcc_version", "vm.boot.amd64", "stage.warm.cpu.running", "stage.warm.running", "stage.queued", "stage.running", "stage.unexplained"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTargets(t *testing.T) {
	cases := map[string]struct {
		values map[string][]float64
		row    string
		want   string
	}{
		"a ratio that is small enough":   {map[string][]float64{"job.warm.gcc_version": {60}, podmanRow: {100}}, "job.warm.gcc_version", "≤ 0.6: reached"},
		"a ratio that is too large":      {map[string][]float64{"job.warm.gcc_version": {61}, podmanRow: {100}}, "job.warm.gcc_version", "≤ 0.6: NOT reached"},
		"without what it stands against": {map[string][]float64{"job.warm.gcc_version": {1}}, "job.warm.gcc_version", "≤ 0.6: not compared"},
		"a figure of its own":            {map[string][]float64{"soak.leaked.fds": {1}}, "soak.leaked.fds", "≤ 0: NOT reached"},
		"its own, kept":                  {map[string][]float64{"soak.leaked.fds": {0}}, "soak.leaked.fds", "≤ 0: reached"},
		"a rate that is high enough":     {map[string][]float64{"control.batch_per_s": {5000}}, "control.batch_per_s", "≥ 5000: reached"},
		"a rate that is too low":         {map[string][]float64{"control.batch_per_s": {4999}}, "control.batch_per_s", "≥ 5000: NOT reached"},
		"no promise":                     {map[string][]float64{podmanRow: {1}}, podmanRow, ""},
	}
	for name, c := range cases {
		if got := summary(measurements{values: c.values}, c.row).target(); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestTheFirstPeerThatWasMeasuredIsComparedWith(t *testing.T) {
	values := map[string][]float64{"work.unseen": {10}, "podman.unseen": {5}}
	if r := summary(measurements{values: values}, "work.unseen"); r.Against != "podman.unseen" || r.Ratio != 2 {
		t.Errorf("without a bare run: against %q, ratio %v", r.Against, r.Ratio)
	}
	values["bare.unseen"] = []float64{2}
	if r := summary(measurements{values: values}, "work.unseen"); r.Against != "bare.unseen" || r.Ratio != 5 {
		t.Errorf("with one: against %q, ratio %v", r.Against, r.Ratio)
	}
}

// Every row that a contestant measures is in the catalog, and in the page about
// benchmarks; and each that another is compared with is measured by somebody.
func TestEveryRowIsDescribed(t *testing.T) {
	page, err := os.ReadFile("../docs/benchmarks.md")
	if err != nil {
		t.Fatal(err)
	}
	measured := make(map[string]bool)
	for _, c := range contestants(t.Context(), config{cache: t.TempDir(), runs: 1}, t.TempDir()) {
		for _, row := range c.rows {
			if measured[row] {
				t.Errorf("%s is measured twice", row)
			}
			measured[row] = true
			if describe(row).name == "" {
				t.Errorf("%s is not in the catalog", row)
			}
		}
	}
	for _, e := range catalog {
		if !bytes.Contains(page, []byte("`"+strings.TrimSuffix(e.name, "*"))) {
			t.Errorf("docs/benchmarks.md does not name %s", e.name)
		}
		for _, other := range e.against {
			if !measured[other] {
				t.Errorf("%s is compared with %s, which nobody measures", e.name, other)
			}
		}
	}
}

func TestTable(t *testing.T) {
	m := measurements{
		values: map[string][]float64{"vm.boots_per_s": {0.5}, "snapshot.load_discard": {8}, "snapshot.load_store.ext4": {4, 6}, "snapshot.mb_stored.ext4": {80}, "snapshot.mb_baked.ext4": {90}},
		not:    map[string]string{"snapshot.load_store.xfs": "no mkfs.xfs", "snapshot.mb_stored.xfs": "no mkfs.xfs"},
	}
	var out bytes.Buffer
	rows := summarize(m, regexp.MustCompile(""))
	table(&out, []string{"cpu: slow"}, rows)
	storageTable(&out, rows)
	for _, line := range []string{
		`cpu: slow`,
		`snapshot.load_discard +8.0 +8.0 +8.0  /s +1 +16.000  vm.boots_per_s`,
		`snapshot.load_store.ext4 +5.0 +4.0 +6.0  /s +2 +0.625  snapshot.load_discard`,
		`snapshot.load_store.xfs +not measured: no mkfs.xfs`,
		`config on ext4 +0.50 +- +90.00`,
		`snapshot on ext4 +8.00 +5.00 +80.00`,
		`snapshot on xfs .* - +-`,
	} {
		if !regexp.MustCompile(`(?m)^` + line + ` *$`).Match(out.Bytes()) {
			t.Errorf("no line like %q in\n%s", line, out.Bytes())
		}
	}
}
