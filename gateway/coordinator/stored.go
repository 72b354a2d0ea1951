package coordinator

import (
	"sync"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// Ledger counts the bytes that tenants have in the object store: it is package
// retention's, whose sweeps know what is there, and is told what comes and goes
// between two of them.
type Ledger interface {
	// Bytes is how many a tenant has, and when the store was last looked through.
	Bytes(tenant string) (bytes int64, counted time.Time)
	// Add notes that bytes were stored at an instant, or, if negative, deleted.
	Add(tenant string, bytes int64, at time.Time)
	// Recount is about how long it takes until the store is looked through again.
	Recount() time.Duration
}

// noLedger counts nothing.
type noLedger struct{}

func (noLedger) Bytes(string) (bytes int64, never time.Time) { return 0, never }
func (noLedger) Add(string, int64, time.Time)                {}
func (noLedger) Recount() time.Duration                      { return 0 }

// reservations are the bytes that uploads which are under way at this gateway may
// store. No sweep counts them, and none forgets them: they are added to what is stored.
type reservations struct {
	mu      sync.Mutex
	tenants map[string]int64
}

func (r *reservations) of(tenant string) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tenants[tenant]
}

func (r *reservations) add(tenant string, bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tenants[tenant] += bytes; r.tenants[tenant] == 0 {
		delete(r.tenants, tenant)
	}
}

// Reserve takes bytes from what a tenant may still store, before they are stored
// and until [Coordinator.Settle]; [ErrTooMuchStored] if they are too many.
func (c *Coordinator) Reserve(tenant string, bytes int64) error {
	c.reserving.Lock()
	defer c.reserving.Unlock()
	if err := c.roomFor(tenant, bytes); err != nil {
		return err
	}
	c.reserved.add(tenant, bytes)
	return nil
}

// Settle ends a reservation, of which so many bytes are stored now.
func (c *Coordinator) Settle(tenant string, reserved, stored int64) {
	c.cfg.Ledger.Add(tenant, stored, c.cfg.Now()) // first: for a moment they count twice, and never not at all
	c.reserved.add(tenant, -reserved)
}

// freed notes that bytes were deleted.
func (c *Coordinator) freed(tenant string, bytes int64) {
	c.cfg.Ledger.Add(tenant, -bytes, c.cfg.Now())
}

// leastRecount is the least that a client is told to wait for room: that of
// outputs that have expired is there only after a sweep.
const leastRecount = 2 * time.Minute

// roomFor refuses bytes that would give a tenant more than it may have stored,
// and anything at all of one that has as much.
func (c *Coordinator) roomFor(tenant string, bytes int64) error {
	most := c.Limits(tenant).StoredBytes
	if most == 0 {
		return nil
	}
	has, _ := c.stored(tenant)
	if has < most && bytes <= most-has {
		return nil
	}
	return fullStore(max(c.cfg.Ledger.Recount(), leastRecount), has, bytes, most)
}

// stored is how many bytes a tenant has, with those that are reserved, and when
// the store was last looked through.
func (c *Coordinator) stored(tenant string) (bytes int64, counted time.Time) {
	bytes, counted = c.cfg.Ledger.Bytes(tenant)
	return bytes + c.reserved.of(tenant), counted
}

// account tells the ledger what a record's first sight, or the end that it
// tells of, means: every gateway sees all records, so all count alike.
func (c *Coordinator) account(old schemas.State, rec *schemas.Record) {
	if old == "" {
		c.cfg.Ledger.Add(rec.Tenant, specBytes(rec), time.UnixMicro(rec.CreatedUS))
	}
	if !old.Terminal() && rec.State.Terminal() {
		c.cfg.Ledger.Add(rec.Tenant, resultBytes(rec), time.UnixMicro(rec.EndedUS))
	}
}

// specBytes is what the store has of a record's specification.
func specBytes(rec *schemas.Record) int64 {
	if rec.SpecInline != nil {
		return 0
	}
	return rec.Spec.Size
}

// resultBytes is what the store has of a record's own result, as far as the
// record knows: it knows nothing of long logs and of the outputs' index.
func resultBytes(rec *schemas.Record) (bytes int64) {
	if rec.Source != nil || !rec.Stored() {
		return 0
	}
	for _, o := range []*schemas.Object{rec.Result, rec.Archive} {
		if o != nil {
			bytes += o.Size
		}
	}
	return bytes
}
