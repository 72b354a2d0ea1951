package vm

import (
	"context"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/program-explorer/pe/executor/pool"
	"github.com/program-explorer/pe/executor/qemu"
	"github.com/program-explorer/pe/executor/snapshot"
	"github.com/program-explorer/pe/schemas"
)

// HostConfig says what machines may take of this host, all runners together.
type HostConfig struct {
	// Snapshots is the store of baked machines. Default: none, and every machine boots.
	Snapshots *snapshot.Store
	// SnapshotBytes is how much of the disk snapshots may take; those that are in
	// use count and stay. Default 20 GiB.
	SnapshotBytes int64
	// PoolBytes is how much memory machines may take that wait for jobs. Default 0: none waits.
	PoolBytes int64
	// PoolMax is how many wait of one image at most, where its catalog entry does
	// not say. Default 4.
	PoolMax int
	// BakeEvery and BakeBurst limit how often one tenant's jobs may have machines
	// baked. Default: 20 at once, then one in 30 s.
	BakeEvery time.Duration
	BakeBurst int
	// BakePatience is how long a job waits for bakes of other snapshots before its
	// machine boots instead. Default 10 s.
	BakePatience time.Duration
	// FirstUser is the slot (see qemu.SlotUser) of the first machine's user. Default 0: another
	// process on this host, whose machines must not be of the same users, sets it.
	FirstUser int
	// Cgroups bounds each QEMU from outside. Default: not bounded.
	Cgroups *qemu.Cgroups
	// Metrics registers the metrics of machines. Default: nowhere.
	Metrics prometheus.Registerer
	// Log default: discard.
	Log *slog.Logger
}

// Host is what all runners of a process share: users of the host, snapshots,
// machines that wait.
type Host struct {
	cfg     HostConfig
	users   users
	store   *snapshot.Store
	bakes   *bakeLimits
	metrics *metrics
	pool    *pool.Pool[*waiting] // nil: no machine waits
	kept    sync.Map             // ids of the snapshots of which a minimum of machines waits

	mu       sync.Mutex
	suspects map[string]bool // snapshots of which the last restore failed, by id

	collecting sync.Mutex     // held while old snapshots are removed
	background sync.WaitGroup // what must end before Close returns
}

// bakesAtOnce bounds bakes that go on at one time: they are in the way of jobs.
const bakesAtOnce = 1

// NewHost returns a host that keeps nothing ready yet.
func NewHost(c HostConfig) (*Host, error) {
	if c.SnapshotBytes <= 0 {
		c.SnapshotBytes = 20 << 30
	}
	if c.BakeEvery <= 0 {
		c.BakeEvery = 30 * time.Second
	}
	if c.BakeBurst <= 0 {
		c.BakeBurst = 20
	}
	if c.BakePatience <= 0 {
		c.BakePatience = 10 * time.Second
	}
	if c.PoolMax <= 0 {
		c.PoolMax = 4
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	h := &Host{
		cfg: c, store: c.Snapshots, suspects: map[string]bool{}, metrics: newMetrics(c.Metrics),
		bakes: newBakeLimits(c),
	}
	if c.Snapshots != nil && c.PoolBytes > 0 {
		h.pool = pool.New[*waiting](pool.Config{
			Budget: c.PoolBytes, DefaultMax: c.PoolMax, Pressure: pool.MemoryPressure(0),
			Metrics: poolMetrics(c.Metrics), Log: c.Log,
		})
	}
	return h, nil
}

// poolMetrics tells this pool's from those of pools of other kinds of machines.
func poolMetrics(r prometheus.Registerer) prometheus.Registerer {
	if r == nil {
		return nil
	}
	return prometheus.WrapRegistererWith(prometheus.Labels{"isolation": schemas.IsolationVM}, r)
}

// Close ends the machines that wait, and what goes on in the background. Machines
// of jobs are closed by their jobs.
func (h *Host) Close() error {
	var err error
	if h.pool != nil {
		err = h.pool.Close()
	}
	h.background.Wait()
	return err
}

// Pools says whether machines may wait for jobs.
func (h *Host) Pools() bool { return h.pool != nil }

// evict drops the machines of a snapshot that is no good.
func (h *Host) evict(id string) {
	if h.pool != nil {
		h.pool.Evict(id)
	}
}

// suspect says whether the snapshot had failed before, and notes that it has failed
// now, or that it is well.
func (h *Host) suspect(id string, failed bool) (again bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	again = h.suspects[id]
	if failed && len(h.suspects) < maxRemembered {
		h.suspects[id] = true
	} else {
		delete(h.suspects, id)
	}
	return again
}

// roomForBakes is how much of the disk must be free, in bytes, for a failed bake to
// have another reason than the disk.
const roomForBakes = 1 << 30

// collectSoon removes what is over the budget of snapshots, unless that goes on already;
// where the disk itself is full, also half of what is within.
func (h *Host) collectSoon() {
	if !h.collecting.TryLock() {
		return
	}
	h.background.Add(1)
	go func() {
		defer h.background.Done()
		defer h.collecting.Unlock()
		budget := h.cfg.SnapshotBytes
		free, err := h.store.Free()
		if err == nil && free < roomForBakes {
			if all, err := h.store.Plan(context.Background(), math.MaxInt64); err == nil {
				budget = min(budget, all.Kept/2)
			}
		}
		done, err := h.store.GC(context.Background(), budget)
		if err != nil {
			h.cfg.Log.Warn("old snapshots not removed", "err", err)
		}
		if len(done.Removed) > 0 || done.Kept > budget {
			h.cfg.Log.Info("snapshots removed", "count", len(done.Removed), "freed", done.Freed, "kept", done.Kept, "budget", budget)
		}
	}()
}
