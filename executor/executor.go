package executor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// Executor runs jobs on this host.
type Executor struct {
	cfg      Config
	log      *slog.Logger
	facts    schemas.Facts
	transfer *transfer
	live     *liveFeed
	metrics  *metrics
	slots    *slots // for attempts
	runs     *slots // for those of them that have a machine run
	rest     rest
	puller   *jobqueue.Puller

	// registered is closed when a gateway knows of this executor.
	registered chan struct{}
	// ending is closed when no more jobs may begin.
	ending chan struct{}

	mu   sync.Mutex
	held map[schemas.Held]*attempt
	// draining executors take no more jobs; those that are handing back run none.
	draining, handingBack bool
}

// New returns an executor that does nothing until Run. What an earlier run left in Dir is removed.
func New(c Config) (*Executor, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	attempts := filepath.Join(c.Dir, "attempts")
	if err := errors.Join(os.RemoveAll(attempts), os.MkdirAll(attempts, 0o700)); err != nil {
		return nil, fmt.Errorf("empty the executor's folder: %w", err)
	}
	e := &Executor{
		cfg:      c,
		log:      c.Log.With("executor", c.ID),
		transfer: newTransfer(c.HTTP),
		metrics:  newMetrics(c.Metrics),
		slots:    newSlots(c.Slots + c.StageAhead),
		runs:     newSlots(c.Slots),
		held:     map[schemas.Held]*attempt{},

		registered: make(chan struct{}),
		ending:     make(chan struct{}),
	}
	e.transfer.store.turned = e.storeTurned
	e.facts = hostFacts(c, rand.Text())
	e.live = &liveFeed{queue: c.Queue, executor: c.ID, log: e.log}
	e.puller = c.Queue.NewPuller()
	return e, nil
}

func (e *Executor) storeTurned(away bool) {
	if away {
		e.log.Warn("the object store is away or has no room: no job is taken until it is back")
		return
	}
	e.log.Info("the object store answers, or nobody waits for it any more: jobs are taken")
}

// Registered is closed once a gateway knows of this executor: jobs can come.
func (e *Executor) Registered() <-chan struct{} { return e.registered }

// Facts are what the executor registers with.
func (e *Executor) Facts() schemas.Facts {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.facts
}

// Reoffer tells a gateway what the runners offer by now, if that is news, and tries until
// one answers. It may be called while Run takes jobs.
func (e *Executor) Reoffer(ctx context.Context) error {
	offers := offersOf(e.cfg.Runners)
	e.mu.Lock()
	news := !reflect.DeepEqual(e.facts.Offers, offers)
	e.facts.Offers = offers
	e.mu.Unlock()
	if !news {
		return nil
	}
	_, err := e.register(ctx)
	return err
}

// Run takes and runs jobs until ctx ends. Then it takes no more, gives those
// that run Config.Grace to end, hands the others back, and returns when nothing
// of them is left on this host.
func (e *Executor) Run(ctx context.Context) error {
	// What serves the jobs outlives ctx: they still need it while they end.
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServing()
	beat, err := e.register(ctx)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil // told to stop before a gateway answered, with nothing taken
	case err != nil:
		return err
	}
	close(e.registered)
	group, serving := errgroup.WithContext(serving)
	group.Go(func() error { return e.cfg.Queue.ServeCommands(serving, e.command) })
	group.Go(func() error { return e.beatUntil(serving, beat) })
	group.Go(func() error {
		defer stopServing()
		// What serves the jobs may fail: then none can be run.
		taking, stop := context.WithCancel(ctx)
		defer stop()
		defer context.AfterFunc(serving, stop)()
		e.takeUntil(taking)
		return nil
	})
	return group.Wait()
}

// takeUntil takes jobs until ctx ends and returns when the last one has ended.
func (e *Executor) takeUntil(ctx context.Context) {
	e.takeOffers(ctx)
	e.mu.Lock()
	e.draining = true
	running := len(e.held)
	e.mu.Unlock()
	close(e.ending)
	if running > 0 {
		e.log.Info("shutting down: waiting for running jobs", "running", running, "grace", e.cfg.Grace)
	}
	grace := time.AfterFunc(e.cfg.Grace, e.handBack)
	defer grace.Stop()
	e.slots.waitAll()
}

// handBack ends every attempt so that another executor can have the job.
func (e *Executor) handBack() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.handingBack = true
	for _, a := range e.held {
		a.handBack()
	}
}

func (a *attempt) handBack() {
	a.stop(newFailure(schemas.FailHandback, "the executor shut down before the job ended"))
}

// runnerFor picks the first runner that fits, in the order of the configuration.
func (e *Executor) runnerFor(needs schemas.Requires) Runner {
	facts := e.Facts()
	for _, r := range e.cfg.Runners {
		one := facts
		one.Offers = []schemas.Offering{r.Offering()}
		if needs.SatisfiedBy(one) {
			return r
		}
	}
	return nil
}

// hold makes the attempt known to heartbeats, commands and handBack.
func (e *Executor) hold(a *attempt) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.held[a.held] = a
	e.metrics.running.Set(float64(len(e.held)))
	if e.handingBack { // granted too late
		a.handBack()
	}
}

func (e *Executor) release(a *attempt) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.held, a.held)
	e.metrics.running.Set(float64(len(e.held)))
}

func (e *Executor) holding(h schemas.Held) *attempt {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.held[h]
}
