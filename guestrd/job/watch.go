package job

import (
	"slices"
	"sync"
	"time"

	"github.com/program-explorer/pe/schemas/guestproto"
)

// tick is how often usage is looked at. It is the precision of the cpu limit.
const tick = 20 * time.Millisecond

// watch holds the limits that no kernel file enforces: wall, cpu, and whether scratch was full.
type watch struct {
	cgroup *cgroup
	layer  *layer
	limits guestproto.Limits
	quit   chan struct{}
	gone   chan struct{}

	mu   sync.Mutex
	seen []string
	end  string
}

func newWatch(r *Run) *watch {
	r.mu.Lock()
	r.started = true
	// A Kill that came before this line has killed the child or will be noticed by the program's end.
	if r.kill != nil {
		r.process.cgroup.killMain()
	}
	r.mu.Unlock()
	return &watch{cgroup: r.process.cgroup, layer: r.process.layer, limits: r.spec.Limits, quit: make(chan struct{}), gone: make(chan struct{})}
}

// run watches until stop.
func (w *watch) run() {
	defer close(w.gone)
	wall := time.NewTimer(time.Duration(w.limits.WallMS) * time.Millisecond)
	defer wall.Stop()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-w.quit:
			w.look()
			return
		case <-wall.C:
			w.kill(guestproto.LimitWall)
		case <-ticker.C:
			w.look()
		}
	}
}

// look notes the limits that are hit right now.
func (w *watch) look() {
	if w.layer.full() {
		w.note(guestproto.LimitScratch)
	}
	if w.limits.CPUMS > 0 && w.cgroup.value("main/cpu.stat", "usage_usec") >= w.limits.CPUMS*1000 {
		w.kill(guestproto.LimitCPU)
	}
}

func (w *watch) note(limit string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = withLimit(w.seen, limit)
}

// kill ends the job for having hit limit.
func (w *watch) kill(limit string) {
	w.note(limit)
	w.mu.Lock()
	if w.end == "" {
		w.end = limit
	}
	w.mu.Unlock()
	w.cgroup.killMain()
}

func (w *watch) stop() {
	close(w.quit)
	<-w.gone
}

func (w *watch) hits() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.seen)
}

func (w *watch) ended() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.end
}
