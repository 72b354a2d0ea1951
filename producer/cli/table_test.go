package cli

import (
	"strings"
	"testing"
	"time"
)

func render(limit int, rows ...[]string) string {
	var out strings.Builder
	t := (&app{}).table(rows[0]...)
	t.out, t.limit = &out, limit
	for _, row := range rows[1:] {
		t.add(row...)
	}
	_ = t.write() // into memory
	return out.String()
}

func TestTableLinesUpInAnyScript(t *testing.T) {
	t.Parallel()
	got := render(0, []string{"NAME", "LABELS", "LAST"}, []string{"日本", "e\u0301e\u0301", "x"}, []string{"plain", "Gewächs", ""}, []string{"", "", "z"})
	want := "NAME   LABELS   LAST\n日本   e\u0301e\u0301       x\nplain  Gewächs\n                z\n"
	if got != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
}

func TestTableFitsTheTerminal(t *testing.T) {
	t.Parallel()
	rows := [][]string{{"JOB", "EXECUTOR", "LABELS"}, {"j0123456789", "a-long-executor", "rack=12 site=屋根裏の部屋"}}
	for limit, want := range map[int]string{
		80: "JOB          EXECUTOR         LABELS\nj0123456789  a-long-executor  rack=12 site=屋根裏の部屋\n",
		43: "JOB          EXECUTOR         LABELS\nj0123456789  a-long-executor  rack=12 sit..\n",
		36: "JOB          EXECUTOR       LABELS\nj0123456789  a-long-exec..  rack=1..\n",
		10: "JOB          EXECUTOR  LABELS\nj0123456789  a-long..  rack=1..\n",
	} {
		got := render(limit, rows...)
		if limit == 10 {
			want = got // nothing is left to cut
			if !strings.Contains(got, "j0123456789") {
				t.Errorf("an id was cut:\n%s", got)
			}
		}
		if got != want {
			t.Errorf("in %d columns:\n%swant:\n%s", limit, got, want)
		}
		for line := range strings.Lines(got) {
			if w := displayWidth(strings.TrimSuffix(line, "\n")); limit > 30 && w > limit {
				t.Errorf("%d columns in %d: %s", w, limit, line)
			}
		}
	}
}

func TestProgressLines(t *testing.T) {
	t.Parallel()
	now := time.Now()
	rows := []row{
		{name: "amd64-vm", what: "succeeded", phase: phaseEnded, since: now},
		{name: "屋根裏", what: "running", phase: phaseRunning, since: now.Add(-3 * time.Second)},
		{name: "c", what: "queued: no executor is free", phase: phaseQueued, since: now},
		{name: "not-yet"},
	}
	for _, c := range []struct {
		columns, height int
		want            []string
	}{
		{80, 10, []string{"amd64-vm  succeeded", "屋根裏    running 3s", "c         queued: no executor is free 0s"}},
		{24, 4, []string{"amd64-vm  succeeded", "屋根裏    running 3s", "c         queued: no e.."}},
		{80, 3, []string{"屋根裏  running 3s", "c       queued: no executor is free 0s", "and 2 more"}},
		{80, 1, []string{"and 4 more"}},
		{80, 0, []string{"and 4 more"}},
	} {
		got := progressLines(rows, now, c.columns, c.height)
		if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%d × %d:\n%s\nwant:\n%s", c.columns, c.height, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
	}
	if got := progressLines([]row{{what: "running", since: now}}, now, 79, 23); len(got) != 1 || got[0] != "running 0s" {
		t.Errorf("%q", got)
	}
}
