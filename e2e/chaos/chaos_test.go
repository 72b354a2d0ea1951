package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/program-explorer/pe/e2e/chaos/check"
	"github.com/program-explorer/pe/internal/hosttest"
	"github.com/program-explorer/pe/internal/objstore/s3test"
	"github.com/program-explorer/pe/schemas"
)

// plan is how much of it there is.
type plan struct {
	setup
	mix
	// jobs that are submitted at least, and realJobs of them whose program ends in a real machine.
	jobs, realJobs int
	// pause between two submissions, and between two strikes, at most.
	pause, rest time.Duration
	// so many kills there are at least, and so many hits in every cell. Nothing is
	// submitted or struck for longer than length.
	kills, least int
	length       time.Duration
	// compareEvery: the outputs of one of so many jobs are compared.
	compareEvery int
}

// shortPlan has virtual machines; without them, which the error says, it is a plan, too.
func shortPlan() (plan, error) {
	p := plan{
		setup: setup{gateways: 2, noops: 3, ways: map[string]way{}}, jobs: 400, pause: 500 * time.Millisecond, rest: 300 * time.Millisecond,
		kills: 8, least: 1, length: 75 * time.Second, compareEvery: 3, mix: mix{realEvery: 20},
	}
	return p, p.addReal(schemas.IsolationVM)
}

// TestChaos breaks everything while jobs run, and checks that nothing was lost
// and nothing done twice. With -chaos.long it takes up to -chaos.budget.
func TestChaos(t *testing.T) {
	t.Parallel()
	if _, err := s3test.Find("versitygw"); err != nil {
		hosttest.Missing(t, "%v", err)
	}
	p, err := shortPlan()
	switch {
	case *long:
		if p, err = longPlan(); err != nil {
			t.Fatal(err)
		}
	case err != nil && os.Getenv("PE_REQUIRE_ALL") == "1":
		t.Fatal(err)
	case err != nil:
		t.Logf("without virtual machines: %v", err)
	}
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("repeat the choices of this run with -chaos.seed=%d", *seed)
	r := &run{plan: p, dir: folder(t)}
	if err := r.do(t.Context(), t.Output()); err != nil {
		t.Fatalf("%v\nlogs are in %s", err, r.dir)
	}
	for _, v := range r.violations {
		t.Error(v)
	}
	for _, short := range r.shortOf() {
		t.Error(short)
	}
	if r.verdict.lacksPages() {
		t.Errorf("%d jobs in %d s, and none of them came into history", r.verdict.Jobs, r.verdict.TookS)
	}
	if t.Failed() {
		r.show(t)
	}
}

// folder is where the run's files go: they stay if -chaos.out says where.
func folder(t *testing.T) string {
	t.Helper()
	writeConfig(t)
	if *out == "" {
		return t.TempDir()
	}
	dir, err := filepath.Abs(*out)
	if err != nil {
		t.Fatal(err)
	}
	if *anew {
		if err := reclaim(dir); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatalf("the folder of a run must not be there yet: %v", err)
	}
	return dir
}

// run is one from its start to its verdict.
type run struct {
	plan
	dir     string
	log     *slog.Logger
	history *history
	records *records
	striker *striker
	system  *system
	clients *clients
	told    *receiver

	began      time.Time
	person     *person
	violations []check.Violation
	// verdict is the report once the run is judged.
	verdict report
}

func (r *run) do(ctx context.Context, w io.Writer) (err error) {
	logFile, err := createLog(r.dir)
	if err != nil {
		return err
	}
	defer logFile.Close()
	if err := nameCommands(r.dir, bin); err != nil {
		return err
	}
	r.began = time.Now()
	r.log = slog.New(slog.NewJSONHandler(logFile, nil))
	if r.history, err = newHistory(filepath.Join(r.dir, "history.jsonl")); err != nil {
		return err
	}
	defer r.history.close()
	r.told = newReceiver(r.history)
	defer r.told.close()
	r.records, r.striker = newRecords(r.history), newStriker(*seed, r.history, r.log)
	if r.system, err = startSystem(ctx, r.dir, r.setup, r.striker.judges()); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.system.close()) }()
	r.striker.system, r.striker.hangs = r.system, *long
	if !*long {
		r.striker.killsFirst = r.kills // a busy machine may not get further
	}
	if err := r.live(ctx, w); err != nil {
		return err
	}
	if err := r.settle(ctx); err != nil {
		return err
	}
	if err := r.system.close(); err != nil {
		return err
	}
	r.leftovers()
	return r.judge(w)
}

// live submits and strikes.
func (r *run) live(ctx context.Context, w io.Writer) error {
	queue, err := r.system.queue(ctx)
	if err != nil {
		return err
	}
	watching, stop := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() { _ = r.records.watch(watching, queue) }) // it ends with watching

	r.clients = &clients{seed: *seed, history: r.history, records: r.records, mix: r.mix, urls: r.system.urls, told: r.told}
	r.person = newPerson(*seed, r.clients)
	watch.Go(func() { r.person.run(watching) })
	watch.Go(func() { r.tell(watching) })
	defer func() { stop(); watch.Wait(); queue.Close() }()
	if err := r.strike(ctx); err != nil {
		r.clients.complain("strike: %v", err) // what was done so far is judged all the same
	}
	return r.calm(ctx, w)
}

// strike submits and strikes until it was enough, or for as long as that may take.
func (r *run) strike(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.length)
	defer cancel()
	submitting := make(chan struct{})
	go func() {
		defer close(submitting)
		r.clients.run(ctx, r.jobs, r.pause, func() bool { return len(r.shortOf()) == 0 })
	}()
	err := r.striker.run(ctx, r.rest, func() bool {
		select {
		case <-submitting: // nothing more to strike
			return true
		default:
			return false
		}
	})
	cancel() // of submitting, if striking failed
	<-submitting
	return err
}

// calmWithin is how long the last jobs may take once nothing is struck any more:
// leases that run out, retries of jobs and of webhooks.
const calmWithin = 6 * time.Minute

// calm waits until every job has ended.
func (r *run) calm(ctx context.Context, w io.Writer) error {
	begin := time.Now()
	for {
		all, open := r.records.count()
		untold := r.clients.untold()
		if open == 0 && untold == 0 && r.person.waiting.Load() == 0 {
			fmt.Fprintf(w, "%d jobs ended within %s of the last strike: %v\n", all, time.Since(begin).Round(time.Second), r.records.byState())
			return nil
		}
		if time.Since(begin) > calmWithin {
			fmt.Fprintf(w, "%d of %d jobs have not ended, and %d ends were not told, %s after the last strike: %v\n", open, all, untold, calmWithin, r.records.some(5))
			return nil // the checker names them
		}
		sleep(ctx, 100*time.Millisecond)
	}
}

// settle looks at the quiet system.
func (r *run) settle(ctx context.Context) error {
	queue, err := r.system.queue(ctx)
	if err != nil {
		return err
	}
	defer queue.Close()
	for _, url := range r.system.urls { // one that was struck last may not listen yet
		if err := answers(ctx, url+"/readyz"); err != nil {
			r.clients.complain("%v", err)
		}
	}
	if err := r.clients.compareSome(ctx, r.compareEvery); err != nil {
		r.clients.complain("%v", err)
	}
	if err := r.records.final(ctx, queue); err != nil {
		return err
	}
	if err := r.sweep(ctx); err != nil {
		r.clients.complain("%v", err)
	}
	store, err := r.system.objects(ctx)
	if err != nil {
		return err
	}
	return listObjects(ctx, store, func(o check.Object) { r.history.add(check.Line{Object: &o}) })
}

// leftovers notes what should have gone with the system.
func (r *run) leftovers() {
	note := func(kind, detail string) {
		r.history.add(check.Line{Leftover: &check.Leftover{Kind: kind, Detail: detail}})
	}
	for _, p := range hosttest.Descendants(os.Getpid()) {
		note("process", fmt.Sprintf("%s (%d): %s", p.Name, p.PID, command(p.PID)))
		_ = syscall.Kill(p.PID, syscall.SIGKILL) // it may end right now
	}
	files, err := os.ReadDir(temporary())
	if err != nil {
		note("folder", err.Error())
	}
	for _, f := range files {
		note("file", f.Name())
	}
	mounts, err := hosttest.MountsOf(r.dir)
	if err != nil {
		note("mount", err.Error())
	}
	for _, m := range mounts {
		note("mount", m.At)
	}
}

// judge has the history checked, and prints the table.
func (r *run) judge(w io.Writer) error {
	for _, err := range r.clients.wrong {
		r.violations = append(r.violations, check.Violation{Rule: "client", Detail: err.Error()})
	}
	h, err := r.history.read()
	if err != nil {
		return err
	}
	r.violations = append(r.violations, check.Check(h)...)
	r.verdict = r.report()
	r.verdict.Judged, r.verdict.Violations = true, r.violations
	r.verdict.Pages, r.verdict.Paged = len(h.Pages), h.Paged()
	fmt.Fprintf(w, "%d records, %d revisions seen, %d objects, outputs of %d jobs compared\n%s",
		len(h.Final), len(h.Revisions), len(h.Objects), r.clients.compared.Load(), r.verdict)
	return r.verdict.write(r.dir)
}

// show prints what the processes said last.
func (r *run) show(t *testing.T) {
	t.Helper()
	if *out != "" {
		t.Logf("logs and history are in %s", r.dir)
		return
	}
	for _, p := range r.system.all() {
		t.Logf("%s said:\n%s", p.name, p.tail(4<<10))
	}
}
