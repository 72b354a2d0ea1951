package schemas

import (
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func jobSpecPage(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../docs/job-spec.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// tableOf returns the rows of the first table below a heading, by cells.
func tableOf(t *testing.T, page, heading string) [][]string {
	t.Helper()
	_, rest, ok := strings.Cut(page, "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("docs/job-spec.md has no section %q", heading)
	}
	var rows [][]string
	for line := range strings.Lines(rest) {
		if !strings.HasPrefix(line, "|") {
			if rows != nil {
				break
			}
			continue
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.Trim(strings.TrimSpace(cells[i]), "`")
		}
		rows = append(rows, cells)
	}
	return rows[2:] // without the head and the rule below it
}

func firstCells(rows [][]string) []string {
	var names []string
	for _, r := range rows {
		names = append(names, r[0])
	}
	return names
}

// TestPageHasEveryField holds docs/job-spec.md to the types' fields, in their order.
func TestPageHasEveryField(t *testing.T) {
	t.Parallel()
	page := jobSpecPage(t)
	for heading, typ := range map[string]reflect.Type{
		"The job": reflect.TypeFor[JobSpec](), "Files": reflect.TypeFor[File](), "Stdin": reflect.TypeFor[Stdin](),
		"Limits": reflect.TypeFor[Limits](), "Requires": reflect.TypeFor[Requires](),
	} {
		var fields []string
		for i := range typ.NumField() {
			name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			fields = append(fields, name)
		}
		if have := firstCells(tableOf(t, page, heading)); !slices.Equal(have, fields) {
			t.Errorf("%s: the page has %v, the type %v", heading, have, fields)
		}
	}
}

// TestPageHasTheRanges holds the table of limits to the ranges that validation uses.
func TestPageHasTheRanges(t *testing.T) {
	t.Parallel()
	ranges := map[string]Range{
		"wall_ms": WallRange, "cpu_ms": CPUTimeRange, "memory_bytes": MemoryRange, "pids": PidsRange,
		"scratch_bytes": ScratchRange, "output_bytes": OutputRange,
	}
	page := jobSpecPage(t)
	for _, row := range tableOf(t, page, "Limits") {
		want := []string{"0.05", "1", "64"} // cpus are in thousandths
		if row[0] == "cpus" {
			if (CPURange != Range{50, 1000, 64_000}) {
				t.Errorf("cpus: %v", CPURange)
			}
		} else {
			r := ranges[row[0]]
			want = []string{thousands(r.Min), thousands(r.Default), thousands(r.Max)}
			if r.Default == 0 {
				want[1] = "wall × cpus"
			}
		}
		if have := row[2:5]; !slices.Equal(have, want) {
			t.Errorf("%s: the page has %v, validation %v", row[0], have, want)
		}
	}
	for _, text := range []string{
		"at most " + thousands(MaxTotalMemory) + ".", thousands(MaxImageBytes) + " bytes", "at most " + thousands(MaxArgs) + " strings",
		"at most " + thousands(MaxEnv) + ",", "at most " + thousands(MaxFiles), thousands(MaxPathBytes) + " bytes with at most " + thousands(MaxNameBytes),
		"at most " + strconv.Itoa(MaxOutputGlobs) + " globs", "at most " + strconv.Itoa(MaxLabels) + " of", "1 to " + strconv.Itoa(MaxLabelBytes),
		"1 to " + strconv.Itoa(MaxKeyBytes), strconv.Itoa(MaxFeatures) + " CPU", strconv.Itoa(MaxArgBytes/kib) + " KiB as JSON",
		"first " + strconv.Itoa(StdioHead/kib) + " KiB", "first " + thousands(MaxListedOutputs),
		thousands(QueueRange.Min) + " to " + thousands(QueueRange.Max), strconv.FormatInt(QueueRange.Default/3_600_000, 10) + " h |",
		strconv.FormatInt(QueueRange.Max/86_400_000, 10) + " days)", "together, " + thousands(DeadlineRange.Min) + " to " + thousands(DeadlineRange.Max), "at most " + strconv.Itoa(maxModel) + " bytes: `epyc", "at most " + strconv.Itoa(MaxSpecBytes/mib) + " MiB",
	} {
		if !strings.Contains(page, text) {
			t.Errorf("docs/job-spec.md does not say %q", text)
		}
	}
}

// TestPageHasTheDefaults: the words in the column are those of WithDefaults.
func TestPageHasTheDefaults(t *testing.T) {
	t.Parallel()
	full := JobSpec{Image: "a"}.WithDefaults()
	want := map[string]string{"cwd": full.Cwd, "lane": full.Lane, "isolation": full.Requires.Isolation, "mode": DefaultMode}
	page := jobSpecPage(t)
	for _, heading := range []string{"The job", "Files", "Requires"} {
		for _, row := range tableOf(t, page, heading) {
			if d, ok := want[row[0]]; ok && row[1] != d {
				t.Errorf("%s: the page has default %q, the code %q", row[0], row[1], d)
			}
		}
	}
}

func thousands(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

func TestPageHasTheFailureCodes(t *testing.T) {
	t.Parallel()
	_, after, _ := strings.Cut(jobSpecPage(t), "before the job is [dead](states.md#attempts).\n")
	rows := tableOf(t, "\n## Codes\n"+after, "Codes")
	var codes []string
	for i, c := range FailureCodes {
		codes = append(codes, string(c))
		want := map[bool]string{true: "yes", false: "no"}[c.Retryable()]
		if i < len(rows) && rows[i][1] != want {
			t.Errorf("%s: tried again %q, want %q", c, rows[i][1], want)
		}
	}
	if have := firstCells(rows); !slices.Equal(have, codes) {
		t.Errorf("the page has codes %v, want %v", have, codes)
	}
}

// TestStateMachine states what every other part relies on.
func TestStateMachine(t *testing.T) {
	t.Parallel()
	for _, from := range States {
		if from.CanBecome(from) {
			t.Errorf("%s can become itself: a compare-and-set could not tell a change", from)
		}
		if from.CanBecome("nonsense") || State("nonsense").CanBecome(from) || State("nonsense").Terminal() {
			t.Errorf("%s and a state that is none", from)
		}
		for _, to := range States {
			if back := from == StateDead && to == StateQueued; from.Terminal() && from.CanBecome(to) != back {
				t.Errorf("%s is terminal and becomes %s, or a dead job cannot be brought back", from, to)
			}
		}
		if !from.Terminal() && !from.CanBecome(StateCancelled) {
			t.Errorf("%s cannot be cancelled", from)
		}
	}
	if !StateRunning.CanBecome(StateQueued) {
		t.Error("a lost attempt cannot be tried again")
	}
}
