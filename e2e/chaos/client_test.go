package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/program-explorer/pe/e2e/chaos/check"
	"github.com/program-explorer/pe/producer"
	"github.com/program-explorer/pe/schemas"
)

// wish is a job as a client wants it: what is asked for, and what is done to it then.
type wish struct {
	tenant string
	spec   schemas.JobSpec
	// twice: it is sent to both gateways at once, under one key.
	twice bool
	// cancel, if not 0, is when it is cancelled after its acceptance.
	cancel time.Duration
	// batch, if not 0, is how many more like it are sent with it in one request.
	batch int
	// blob is an input that is uploaded first.
	blob string
	// callback: the receiver wants to hear of its end.
	callback bool
}

// wishFor is the n-th job of a run: the same one for the same seed.
func wishFor(seed uint64, n int, of mix) wish {
	r := rand.New(rand.NewPCG(seed, uint64(n)+1000))
	names := slices.Sorted(maps.Keys(tenants))
	w := wish{tenant: names[r.IntN(len(names))]}
	w.spec = schemas.JobSpec{
		Image: "nothing", Lane: []string{schemas.LaneInteractive, schemas.LaneInteractive, schemas.LaneBatch}[r.IntN(3)],
		Requires: schemas.Requires{Isolation: schemas.IsolationContainer, Kernel: "noop"},
		Env:      map[string]string{"NOOP_RUN": strconv.Itoa(r.IntN(600)) + "ms", "NOOP_STDOUT": fmt.Sprintf("job %d\n", n)},
		Labels:   map[string]string{"campaign": "chaos"},
		Limits:   schemas.Limits{WallMS: 60_000},
	}
	if r.IntN(10) == 0 {
		w.spec.Env["NOOP_EXIT"] = strconv.Itoa(1 + r.IntN(3))
	}
	if r.IntN(10) < 4 {
		w.spec.Files = map[string]schemas.File{"in": text(fmt.Sprintf("%d: %s", n, strings.Repeat("x", r.IntN(500))))}
	}
	switch r.IntN(10) {
	case 0: // too long for the record
		w.spec.Files = map[string]schemas.File{"large": text(strings.Repeat(strconv.Itoa(n)+" ", 6000))}
	case 1, 2:
		w.blob = fmt.Sprintf("blob %d of seed %d, %s", n, seed, strings.Repeat("y", 20_000))
	}
	if r.IntN(3) == 0 {
		w.spec.IdempotencyKey = fmt.Sprintf("key-%d", n)
		w.twice = r.IntN(3) == 0
	}
	switch r.IntN(20) {
	case 0:
		w.batch, w.twice, w.blob = 1+r.IntN(12), false, ""
	case 1, 2: // one of few jobs that many want the result of
		w.spec.Cache, w.spec.Env["NOOP_STDOUT"], w.spec.Env["NOOP_RUN"] = schemas.CacheUse, strconv.Itoa(n/40), "200ms"
		w.spec.Files, w.blob = nil, ""
	}
	if r.IntN(25) == 0 { // it may end as dead
		w.spec.Env["NOOP_BREAK"], w.spec.Cache = "70", ""
	}
	w.callback = callbacks && r.IntN(4) == 0
	if r.IntN(12) == 0 {
		w.cancel = time.Duration(1+r.IntN(2000)) * time.Millisecond
	}
	if len(of.real) > 0 && r.IntN(of.realEvery) == 0 {
		w.makeReal(of.real[r.IntN(len(of.real))], n)
	}
	return w
}

// mix is which jobs run in real machines: one of realEvery.
type mix struct {
	real      []schemas.Requires
	realEvery int
}

// makeReal has a job run in a machine, with outputs that take a moment to collect.
func (w *wish) makeReal(needs schemas.Requires, n int) {
	w.spec.Image, w.spec.Requires, w.spec.Env, w.spec.Cache = "busybox", needs, nil, ""
	w.batch, w.blob = 0, ""
	w.spec.Args = []string{"sh", "-c", fmt.Sprintf("cat * > /output/in 2>/dev/null; sleep 0.2; for i in 1 2 3 4; do head -c 200000 /dev/urandom > /output/$i; done; echo %d", n)}
	w.spec.Files = map[string]schemas.File{"in": text(strconv.Itoa(n))}
}

func text(s string) schemas.File { return schemas.File{Text: &s} }

// clients submit jobs and note what was acknowledged.
type clients struct {
	seed    uint64
	history *history
	records *records
	mix     mix
	urls    []string
	told    *receiver

	submitted, refused, unknown, cancelled, compared atomic.Int64
	// known are the jobs that were accepted: a repeated submission makes no more of them.
	known sync.Map

	mu    sync.Mutex
	wrong []error
	// asked are the jobs whose end the receiver must hear of.
	asked []check.JobName
}

func (c *clients) complain(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.wrong) < 20 {
		c.wrong = append(c.wrong, fmt.Errorf(format, args...))
	}
}

// at is a client of one gateway.
func (c *clients) at(gateway int, tenant string) *producer.Client {
	client, err := producer.New(producer.Config{Server: c.urls[gateway%len(c.urls)], Token: tenants[tenant], Patience: 2 * time.Minute})
	if err != nil {
		panic(err) // the address is our own
	}
	return client
}

// answerWithin is how long a client waits for a gateway that may hang.
const answerWithin = 10 * time.Second

const (
	workers = 24
	// maxOpen bounds the jobs that have not ended: faults are to meet them all on their way.
	maxOpen = 150
)

// run submits n jobs, those of batches counted, and more until it was enough, or until ctx ends, with pauses of up to pause.
func (c *clients) run(ctx context.Context, n int, pause time.Duration, enough func() bool) {
	numbers := make(chan int)
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for n := range numbers {
				c.submit(ctx, n)
			}
		})
	}
	r := rand.New(rand.NewPCG(c.seed, 2))
	for i := 0; (i < n || !enough()) && ctx.Err() == nil; i += 1 + wishFor(c.seed, i, c.mix).batch {
		for _, open := c.records.count(); open >= maxOpen && ctx.Err() == nil; _, open = c.records.count() {
			sleep(ctx, 50*time.Millisecond)
		}
		select {
		case numbers <- i:
		case <-ctx.Done():
		}
		sleep(ctx, time.Duration(r.Int64N(int64(pause))))
	}
	close(numbers)
	all.Wait()
}

// submit sends one job, until it is acknowledged or nobody knows.
func (c *clients) submit(ctx context.Context, n int) {
	w := wishFor(c.seed, n, c.mix)
	if w.blob != "" {
		files, err := c.upload(ctx, n, w)
		if err != nil {
			c.refused.Add(1) // the store was away for too long: nothing was submitted
			return
		}
		w.spec.Files = files
	}
	if w.callback {
		w.spec.Callback = &schemas.Callback{URL: c.told.url(w.tenant)}
	}
	if w.batch > 0 {
		c.sendBatch(ctx, n, w)
		return
	}
	ids := make(chan string, 2)
	var both sync.WaitGroup
	both.Go(func() { ids <- c.send(ctx, n, w) })
	if w.twice {
		both.Go(func() { ids <- c.send(ctx, n+1, w) })
	}
	both.Wait()
	close(ids)
	id := <-ids
	if second := <-ids; id == "" {
		id = second
	} else if second != "" && second != id {
		c.complain("key %s made %s and %s", w.spec.IdempotencyKey, id, second)
	}
	if id != "" && w.cancel > 0 {
		sleep(ctx, w.cancel)
		asking, cancel := context.WithTimeout(ctx, answerWithin)
		defer cancel()
		if _, err := c.at(n, w.tenant).Cancel(asking, id); err == nil {
			c.cancelled.Add(1)
		}
	}
}

func (c *clients) upload(ctx context.Context, n int, w wish) (map[string]schemas.File, error) {
	file, remove, err := producer.Spool("blob", strings.NewReader(w.blob))
	if err != nil {
		return nil, err
	}
	defer remove()
	var files map[string]schemas.File
	for range 5 {
		asking, cancel := context.WithTimeout(ctx, answerWithin)
		files, err = c.at(n, w.tenant).Upload(asking, []producer.LocalFile{file}, nil)
		cancel()
		if err == nil {
			return files, nil
		}
		n++
		sleep(ctx, time.Second)
	}
	return nil, err
}

// send returns the id of an acknowledged job, else nothing.
func (c *clients) send(ctx context.Context, gateway int, w wish) (id string) {
	c.insist(ctx, gateway, w, func(ctx context.Context, client *producer.Client) error {
		job, err := client.Submit(ctx, w.spec)
		if err == nil {
			id = job.ID
			c.accepted(check.JobName{Tenant: w.tenant, Job: id}, w, w.spec.IdempotencyKey)
		}
		return err
	})
	return id
}

// sendBatch sends jobs like this one in one request: all of them, or none.
func (c *clients) sendBatch(ctx context.Context, gateway int, w wish) {
	specs := make([]schemas.JobSpec, 1+w.batch)
	for i := range specs {
		specs[i] = w.spec
		if w.spec.IdempotencyKey != "" {
			specs[i].IdempotencyKey = fmt.Sprintf("%s-%d", w.spec.IdempotencyKey, i)
		}
	}
	c.insist(ctx, gateway, w, func(ctx context.Context, client *producer.Client) error {
		items, err := client.SubmitBatch(ctx, specs, schemas.BatchAll)
		for i, item := range items {
			if item.Job == nil {
				c.complain("job %d of an accepted batch of %s was not taken: %v", i, w.tenant, item.Problem)
				continue
			}
			c.accepted(check.JobName{Tenant: w.tenant, Job: item.Job.ID}, w, specs[i].IdempotencyKey)
		}
		return err
	})
}

// insist submits until it is acknowledged, refused too often, or nobody knows.
func (c *clients) insist(ctx context.Context, gateway int, w wish, submit func(context.Context, *producer.Client) error) {
	for range 10 {
		asking, cancel := context.WithTimeout(ctx, answerWithin)
		err := submit(asking, c.at(gateway, w.tenant))
		cancel()
		if err == nil {
			return
		}
		var lost *producer.UnreachableError
		told := !errors.Is(err, context.DeadlineExceeded) && (!errors.As(err, &lost) || lost.Refused())
		if !told && w.spec.IdempotencyKey == "" {
			c.unknown.Add(1) // it may have been accepted: nobody may send it again
			return
		}
		gateway++
		sleep(ctx, 500*time.Millisecond)
	}
	c.refused.Add(1)
}

func (c *clients) accepted(job check.JobName, w wish, key string) {
	if _, again := c.known.LoadOrStore(job, true); !again {
		c.submitted.Add(1)
	}
	c.history.add(check.Line{Accepted: &check.Accepted{JobName: job, Key: key, Callback: w.callback, AtUS: now()}})
	if w.callback {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.asked = append(c.asked, job)
	}
}

// untold counts the jobs whose end the receiver has not heard of.
func (c *clients) untold() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, job := range c.asked {
		if state := c.records.state(job); state != "" && !c.told.knows(job, state) {
			n++
		}
	}
	return n
}

// compare downloads the outputs of a job that pretended to run and compares them with its inputs.
func (c *clients) compare(ctx context.Context, job schemas.Job) error {
	if job.Spec == nil || job.Result == nil || job.Spec.Image != "nothing" {
		return nil
	}
	client := c.at(0, job.Tenant)
	for name, want := range job.Spec.Files {
		if want.Text == nil {
			continue // a blob: its digest is the output's, which the index says
		}
		body, err := client.OutputFile(ctx, job.ID, name)
		if err != nil {
			return fmt.Errorf("output %s of job %s: %w", name, job.ID, err)
		}
		got, err := io.ReadAll(body)
		body.Close()
		if err != nil || string(got) != *want.Text {
			return fmt.Errorf("output %s of job %s has %d bytes, its input %d: %v", name, job.ID, len(got), len(*want.Text), err)
		}
	}
	for _, o := range job.Result.Outputs {
		if want := job.Spec.Files[o.Path]; want.SHA256 != "" && want.SHA256 != o.SHA256 {
			return fmt.Errorf("output %s of job %s has digest %s, its input %s", o.Path, job.ID, o.SHA256, want.SHA256)
		}
	}
	c.compared.Add(1)
	return nil
}

// compareSome does so for one of every so many jobs of each tenant.
func (c *clients) compareSome(ctx context.Context, every int) error {
	for tenant := range tenants {
		n := 0
		for job, err := range c.at(0, tenant).List(ctx, producer.Filter{States: []schemas.State{schemas.StateSucceeded}}) {
			if err != nil {
				return err
			}
			if n++; n%every != 0 {
				continue
			}
			whole, err := c.at(0, tenant).Job(ctx, job.ID)
			if err == nil {
				err = c.compare(ctx, whole)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}
