package chaos

import (
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/program-explorer/pe/e2e/chaos/check"
	"github.com/program-explorer/pe/e2e/chaos/natstap"
	"github.com/program-explorer/pe/e2e/chaos/s3tap"
)

// Actions of a strike.
const (
	actKill   = "kill"   // SIGKILL, and a start on the same data
	actStop   = "stop"   // SIGTERM, and a start
	actPause  = "pause"  // SIGSTOP for a moment
	actHang   = "hang"   // SIGSTOP for longer than a lease, and then it reports late
	actCut    = "cut"    // its connection ends, in front of the message or behind it
	actLose   = "lose"   // this one message, request or answer
	actDeaf   = "deaf"   // nothing reaches it for a while
	actMute   = "mute"   // nothing that it sends arrives for a while
	actRefuse = "refuse" // S3 answers 503 for a while
	actSlow   = "slow"   // S3 takes its time for a while
	actFull   = "full"   // its disk has no room for a while; NATS is then started anew
)

// lease is the product's default: what is silent for so long is lost.
const lease = 30 * time.Second

// actions are what is done to a component besides killing it.
var actions = map[string][]string{
	ofGateway:  {actStop, actPause, actHang, actCut, actLose, actDeaf, actMute},
	ofExecutor: {actStop, actPause, actHang, actCut, actLose, actDeaf, actMute, actFull},
	ofNATS:     {actPause, actStop, actFull},
	ofS3:       {actPause, actRefuse, actSlow, actCut, actLose, actFull},
	ofMachine:  {actPause},
}

// strike is a fault that waits for its moment.
type strike struct {
	cell
	action string
	// before the message that gives the moment arrives, or after.
	before bool
	// lasts is how long it is until it is put right.
	lasts time.Duration
	// behind: the next strike does not wait for that.
	behind bool
}

// hit is a strike that met its moment.
type hit struct {
	strike
	moment
}

// striker strikes the system, one fault at a time.
type striker struct {
	log     *slog.Logger
	random  *rand.Rand
	history *history
	system  *system

	mu    sync.Mutex
	armed *strike
	// dealing: the armed one has met its moment and is being dealt.
	dealing bool
	dealt   *sync.Cond
	hits    chan hit
	table   map[cell]int
	missed  map[cell]int
	// seen are the cells whose moment has ever come: others need not be waited for yet.
	seen map[cell]bool
	// killsFirst: so many strikes are kills before there is another.
	killsFirst int
	kills      int
	// dealtOut are the strikes that hit.
	dealtOut []check.Strike
	// broken are the processes that were struck and not yet put right.
	broken map[*process]bool
	// paused are the processes of machines that are stopped for a moment.
	paused []int
	// mending counts what is put right behind the back of the next strike.
	mending errgroup.Group
	// hangs: executors and gateways may hang for longer than a lease, which takes its time.
	hangs bool
	// store is what becomes of all requests to S3 for now.
	store s3tap.Fate
}

func newStriker(seed uint64, h *history, log *slog.Logger) *striker {
	s := &striker{log: log, random: rand.New(rand.NewPCG(seed, 1)), history: h, hits: make(chan hit, 1), table: map[cell]int{}, missed: map[cell]int{}, seen: map[cell]bool{}, broken: map[*process]bool{}}
	s.dealt = sync.NewCond(&s.mu)
	return s
}

// judges give the striker a look at everything that passes.
func (s *striker) judges() judges {
	return judges{
		nats: func(process string, executor bool) natstap.Judge {
			return func(m natstap.Message) natstap.Fate { return s.natsFate(process, executor, m) }
		},
		s3: s.s3Fate,
	}
}

func (s *striker) natsFate(process string, executor bool, m natstap.Message) natstap.Fate {
	sees := gatewaySees
	if executor {
		sees = executorSees
	}
	step, in, job := sees(m)
	if step == "" {
		return natstap.Pass
	}
	blow := s.meet(moment{step: step, at: process, in: in, job: job})
	switch {
	case blow == nil:
		return natstap.Pass
	case blow.action == actLose:
		return natstap.Lose
	case blow.action == actCut && !blow.before:
		return natstap.CutAfter
	case blow.action == actCut, blow.before:
		return natstap.Cut
	}
	return natstap.Pass
}

func (s *striker) s3Fate(r s3tap.Request) s3tap.Fate {
	if step, job := storeSees(r); step != "" {
		if blow := s.meet(moment{step: step, in: []string{ofS3}, job: job}); blow != nil {
			switch blow.action {
			case actLose:
				return s3tap.Fate{Lose: true}
			case actCut:
				return s3tap.Fate{Cut: true}
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.store
}

// meet strikes if this is the moment that was waited for.
func (s *striker) meet(m moment) *strike {
	s.mu.Lock()
	blow := s.armed
	if blow == nil {
		s.mu.Unlock()
		return nil
	}
	s.notice(m)
	if s.dealing || blow.step != m.step || !slices.Contains(m.in, blow.component) || s.unreal(blow.component, m.at) {
		s.mu.Unlock()
		return nil
	}
	s.dealing = true
	s.mu.Unlock()
	done := s.dealTo(s.target(*blow, m), *blow, m)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dealing = false
	s.dealt.Broadcast()
	if !done { // there was nothing to strike: it waits on
		return nil
	}
	s.armed = nil
	s.hits <- hit{*blow, m}
	return blow
}

// notice notes which cells have moments at all; s.mu is held.
func (s *striker) notice(m moment) {
	for _, component := range m.in {
		if !s.unreal(component, m.at) {
			s.seen[cell{component, m.step}] = true
		}
	}
}

// unreal: what pretends to be a machine can't be struck.
func (s *striker) unreal(component, at string) bool {
	w, real := s.system.real[at]
	return (component == ofMachine || component == ofGuest) && (!real || w.struck() != component)
}

func (s *striker) arm(blow *strike) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed = blow
}

// target is the process that a strike is for.
func (s *striker) target(blow strike, m moment) *process {
	switch blow.component {
	case ofNATS:
		return s.system.nats
	case ofS3:
		return s.system.s3
	}
	return s.system.named(m.at)
}

// dealTo does what a strike does at its moment; false if there was nothing to do it to.
func (s *striker) dealTo(p *process, blow strike, m moment) bool {
	switch blow.component {
	case ofMachine, ofGuest:
		return s.dealToMachines(blow, m)
	}
	s.mu.Lock()
	broken := s.broken[p]
	s.broken[p] = true
	s.mu.Unlock()
	if !broken {
		s.deal(p, blow, m)
	}
	return !broken
}

// dealToMachines strikes those of the executor that the moment was seen at.
func (s *striker) dealToMachines(blow strike, m moment) bool {
	pids := s.system.real[m.at].processes()
	if blow.action != actPause {
		return strikeMachines(pids, syscall.SIGKILL)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paused = append(s.paused, pids...)
	return strikeMachines(pids, syscall.SIGSTOP)
}

// wakeMachines has all go on that were paused.
func (s *striker) wakeMachines() {
	s.mu.Lock()
	defer s.mu.Unlock()
	strikeMachines(s.paused, syscall.SIGCONT)
	s.paused = nil
}

func (s *striker) deal(p *process, blow strike, m moment) {
	switch blow.action {
	case actKill:
		p.kill()
	case actStop:
		p.signal(syscall.SIGTERM)
	case actPause, actHang:
		p.signal(syscall.SIGSTOP)
	case actDeaf:
		s.system.taps[m.at].Silence(true, false)
	case actMute:
		s.system.taps[m.at].Silence(false, true)
	case actRefuse:
		s.setStore(s3tap.Fate{Status: 503})
	case actSlow:
		s.setStore(s3tap.Fate{Wait: 700 * time.Millisecond})
	case actFull:
		if err := p.disk.fill(); err != nil {
			s.log.Error("disk not filled", "at", p.name, "err", err)
		}
	}
}

func (s *striker) setStore(f s3tap.Fate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store = f
}

// mend undoes a strike.
func (s *striker) mend(h hit) error {
	if h.component == ofMachine || h.component == ofGuest {
		s.wakeMachines()
		return nil
	}
	p := s.target(h.strike, h.moment)
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.broken, p)
	}()
	switch h.action {
	case actKill:
		return p.start()
	case actStop:
		<-p.over()
		return p.start()
	case actPause, actHang:
		p.signal(syscall.SIGCONT)
	case actDeaf, actMute:
		s.system.taps[h.at].Silence(false, false)
	case actRefuse, actSlow:
		s.setStore(s3tap.Fate{})
	case actFull:
		if err := p.disk.free(); err != nil || h.component != ofNATS {
			return err
		}
		p.kill() // it gives up what it can't write to, until an operator has made room
		return p.start()
	}
	return nil
}
