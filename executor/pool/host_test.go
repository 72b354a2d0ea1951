package pool

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// host makes machines of nothing but bookkeeping, and holds the pool to its
// promises: what it may cost, and what it may do to a machine.
type host struct {
	t      testing.TB
	budget int64 // 0: not checked

	mu        sync.Mutex
	used      int64
	templates map[string]int64
	made      []*machine
	failing   map[string]bool
	releases  map[string]int
	running   map[string]int // calls of Make
	tries     map[string]int // and all that there were
}

func newHost(t testing.TB, budget int64) *host {
	return &host{t: t, budget: budget, templates: map[string]int64{}, failing: map[string]bool{},
		releases: map[string]int{}, running: map[string]int{}, tries: map[string]int{}}
}

// machine is one machine of a host.
type machine struct {
	host   *host
	key    string
	bytes  int64
	closes time.Duration // what Close takes
	done   chan struct{}

	dead   bool
	taken  bool
	closed int // by the pool
}

var errNoMachine = errors.New("no machine today")

// kind describes machines that cost so much and take so long.
func (h *host) kind(key string, bytes, template int64, takes time.Duration) Kind[*machine] {
	return Kind[*machine]{
		Key: key, Name: "kind-" + key, MachineBytes: bytes,
		TemplateBytes: func() int64 { return template },
		Make:          func(ctx context.Context) (*machine, error) { return h.make(ctx, key, bytes, template, takes) },
		Release:       func() { h.release(key, takes/10) },
	}
}

func (h *host) make(ctx context.Context, key string, bytes, template int64, takes time.Duration) (*machine, error) {
	h.mu.Lock()
	h.running[key]++
	h.tries[key]++
	if _, held := h.templates[key]; !held {
		h.templates[key] = template
		h.charge(template)
	}
	h.charge(bytes)
	fails := h.failing[key]
	h.mu.Unlock()

	timer := time.NewTimer(takes)
	defer timer.Stop()
	var err error
	select {
	case <-timer.C:
	case <-ctx.Done():
		err = ctx.Err()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running[key]--
	if fails {
		err = errNoMachine
	}
	if err != nil {
		h.charge(-bytes)
		return nil, err
	}
	m := &machine{host: h, key: key, bytes: bytes, closes: takes / 10, done: make(chan struct{})}
	h.made = append(h.made, m)
	return m, nil
}

func (h *host) charge(bytes int64) {
	h.used += bytes
	if h.budget > 0 && h.used > h.budget {
		h.t.Errorf("%d bytes are in use, the budget is %d", h.used, h.budget)
	}
}

func (h *host) release(key string, takes time.Duration) {
	time.Sleep(takes)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.releases[key]++
	template, held := h.templates[key]
	if !held || h.running[key] > 0 {
		h.t.Errorf("kind %s is released: it holds its template: %t, %d are being made", key, held, h.running[key])
	}
	for _, m := range h.made {
		if m.key == key && !m.taken && m.closed == 0 {
			h.t.Errorf("kind %s is released while a machine of it waits", key)
		}
	}
	delete(h.templates, key)
	h.charge(-template)
}

func (m *machine) Done() <-chan struct{} { return m.done }

func (m *machine) Close() error {
	time.Sleep(m.closes)
	m.host.mu.Lock()
	defer m.host.mu.Unlock()
	if m.closed++; m.closed > 1 || m.taken {
		m.host.t.Errorf("machine of kind %s is closed %d times by the pool, taken: %t", m.key, m.closed, m.taken)
	}
	m.host.charge(-m.bytes)
	m.die()
	return nil
}

// die ends the machine's life, from within or by Close.
func (m *machine) die() {
	if !m.dead {
		m.dead = true
		close(m.done)
	}
}

// kill lets one die by itself.
func (h *host) kill(m *machine) {
	h.mu.Lock()
	defer h.mu.Unlock()
	m.die()
}

// What tests look at, while the pool goes on.

func (h *host) tried(key string) int { h.mu.Lock(); defer h.mu.Unlock(); return h.tries[key] }

func (h *host) released(key string) int { h.mu.Lock(); defer h.mu.Unlock(); return h.releases[key] }

func (h *host) inUse() int64 { h.mu.Lock(); defer h.mu.Unlock(); return h.used }

func (h *host) machines() []*machine { h.mu.Lock(); defer h.mu.Unlock(); return slices.Clone(h.made) }

// killOne lets the machine die that was made as the n-th from the end, if it isn't a job's.
func (h *host) killOne(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := len(h.made) - 1 - n; i >= 0 && !h.made[i].taken {
		h.made[i].die()
	}
}

// fail lets all that is made of a kind fail, or be made again.
func (h *host) fail(key string, fails bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failing[key] = fails
}

// take takes a machine as a job does.
func (h *host) take(p *Pool[*machine], k Kind[*machine]) (*machine, bool) {
	p.Want(k)
	// The pool may make another at once: it must not come before the charge.
	h.mu.Lock()
	defer h.mu.Unlock()
	m, ok := p.Take(k.Key)
	if !ok {
		return nil, false
	}
	if m.taken || m.closed > 0 || m.dead || m.key != k.Key {
		h.t.Errorf("machine of kind %s was handed out for %s; taken before: %t, closed: %d, dead: %t", m.key, k.Key, m.taken, m.closed, m.dead)
	}
	m.taken = true
	h.charge(-m.bytes) // the job's, from now on
	return m, true
}

// empty checks that nothing is left after the pool's end.
func (h *host) empty() {
	h.t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range h.made {
		if !m.taken && m.closed != 1 {
			h.t.Errorf("machine of kind %s was closed %d times", m.key, m.closed)
		}
	}
	if h.used != 0 || len(h.templates) > 0 {
		h.t.Errorf("after the end %d bytes are in use, and templates %v", h.used, h.templates)
	}
}

// of finds a kind's line; nil if the pool doesn't know it.
func (s Stats) of(key string) *KindStats {
	for i := range s.Kinds {
		if s.Kinds[i].Key == key {
			return &s.Kinds[i]
		}
	}
	return nil
}

// waits checks how many machines of each kind wait.
func waits(t *testing.T, p *Pool[*machine], want map[string]int) {
	t.Helper()
	s := p.Stats()
	got := map[string]int{}
	for _, k := range s.Kinds {
		got[k.Key] = k.Waiting
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("waiting: %v, want %v; %+v", got, want, s)
	}
}

// scrape is what a registry shows to Prometheus.
func scrape(t *testing.T, r *prometheus.Registry) string {
	t.Helper()
	answer := httptest.NewRecorder()
	promhttp.HandlerFor(r, promhttp.HandlerOpts{}).ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	return answer.Body.String()
}
