package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/program-explorer/pe/e2e/chaos/check"
)

// report is what a run can say of itself, at any time.
type report struct {
	Seed  uint64
	TookS int
	// Jobs were acknowledged, Wanted of them at least.
	Jobs, Wanted                   int
	Refused, Unanswered, Cancelled int
	// Retried and Dropped are dead jobs, by a person.
	Retried, Dropped int
	// States are those of the records that there are.
	States map[string]int
	// Machines are the jobs whose program ended on each executor with real machines.
	Machines map[string]int
	Strikes  int
	Kills    int
	Table    check.Table
	// Judged: the run is over, and these are all its violations. Pages are those of
	// history, with so many jobs Paged in them.
	Judged       bool
	Pages, Paged int
	Violations   []check.Violation
}

// report is as of now.
func (r *run) report() report {
	c := r.clients
	strikes, kills := r.striker.figures()
	return report{
		Seed: *seed, TookS: int(time.Since(r.began).Seconds()), Jobs: int(c.submitted.Load()), Wanted: r.jobs,
		Refused: int(c.refused.Load()), Unanswered: int(c.unknown.Load()), Cancelled: int(c.cancelled.Load()),
		Retried: int(r.person.retried.Load()), Dropped: int(r.person.dropped.Load()),
		States: r.records.byState(), Machines: r.records.ranOn(r.ways),
		Strikes: len(strikes), Kills: kills, Table: check.Count(strikes, components, steps),
	}
}

// shortOf says what a run still lacks of its plan.
func (r *run) shortOf() (lacks []string) {
	now := r.report()
	lack := func(what string, got, want int) {
		if got < want {
			lacks = append(lacks, fmt.Sprintf("%d %s, want %d", got, what, want))
		}
	}
	if *long {
		lack("jobs", now.Jobs, now.Wanted)
		lack("jobs in real machines", now.inMachines(), r.realJobs)
		if thin := now.Table.Thin(r.least, never); len(thin) > 0 {
			lacks = append(lacks, fmt.Sprintf("not hit often enough: %q", thin))
		}
	}
	lack("kills", now.Kills, r.kills)
	return lacks
}

// lacksPages says that history was not made, though there was time and there were
// jobs: some tenant has a page's worth, which is moved a minute after their ends.
func (r report) lacksPages() bool { return r.TookS > 5*60 && r.Jobs > 2_000 && r.Paged == 0 }

func (r report) inMachines() (n int) {
	for _, jobs := range r.Machines {
		n += jobs
	}
	return n
}

// tell writes history and report from time to time: a run that is broken off has them, too.
func (r *run) tell(ctx context.Context) {
	for ctx.Err() == nil {
		if err := r.history.flush(); err != nil {
			r.log.Error("history not written", "err", err)
		}
		if err := r.report().write(r.dir); err != nil {
			r.log.Error("report not written", "err", err)
		}
		sleep(ctx, 15*time.Second)
	}
}

func (r report) write(dir string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "report.json")
	if err := os.WriteFile(path+".new", text, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// String is the report for people.
func (r report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d jobs accepted (%d wanted), %d refused, %d without an answer, %d cancelled; dead ones: %d retried, %d dropped\n",
		time.Duration(r.TookS)*time.Second, r.Jobs, r.Wanted, r.Refused, r.Unanswered, r.Cancelled, r.Retried, r.Dropped)
	fmt.Fprintf(&b, "states: %s\nin real machines: %d (%s)\n%d strikes, %d of them kills\n%s",
		counts(r.States), r.inMachines(), counts(r.Machines), r.Strikes, r.Kills, r.Table)
	if r.Judged {
		fmt.Fprintf(&b, "%d pages of history, %d jobs in them\n", r.Pages, r.Paged)
	}
	fmt.Fprintf(&b, "%d violations\n", len(r.Violations))
	return b.String()
}

func counts(n map[string]int) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(n)) {
		words = append(words, fmt.Sprintf("%d %s", n[name], name))
	}
	return strings.Join(words, ", ")
}
