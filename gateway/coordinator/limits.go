package coordinator

import "github.com/program-explorer/pe/gateway/feeder"

// Limits bound what one tenant has at one time. Each gateway counts what it
// knows: several at once may let pass a little more, each as many jobs as the
// others admitted in the moment before it heard of them.
type Limits struct {
	// Queued bounds queued jobs; default 100,000.
	Queued int
	// Running bounds jobs that are offered to executors or run; 0 does not.
	Running int
	// StoredBytes bounds its objects together, as [Config.Ledger] counts them: who
	// has as much may neither upload nor submit. What its jobs leave is taken all
	// the same. 0 does not.
	StoredBytes int64
	// Pools bounds distinct requirements among jobs that have not ended, or did
	// within [Config.PoolIdle]; default 128.
	Pools int
	// Weight is its share of a lane beside others', from 1 (default) to [MaxWeight].
	Weight int
}

// MaxWeight bounds Limits.Weight.
const MaxWeight = 1000

// LimitTable says what each tenant may have.
type LimitTable struct {
	// Default is of tenants that have no entry.
	Default Limits
	Tenants map[string]Limits
}

// withDefaults fills in what is not said: of a tenant as it is for all, for all
// as it is documented.
func (t LimitTable) withDefaults() LimitTable {
	t.Default = t.Default.or(Limits{Queued: 100_000, Pools: 128, Weight: 1})
	tenants := make(map[string]Limits, len(t.Tenants))
	for name, l := range t.Tenants {
		tenants[name] = l.or(t.Default)
	}
	t.Tenants = tenants
	return t
}

func (l Limits) or(other Limits) Limits {
	defaultTo(&l.Queued, other.Queued)
	defaultTo(&l.Running, other.Running)
	defaultTo(&l.StoredBytes, other.StoredBytes)
	defaultTo(&l.Pools, other.Pools)
	defaultTo(&l.Weight, other.Weight)
	return l
}

// Limits are those of a tenant, as they are now.
func (c *Coordinator) Limits(tenant string) Limits {
	table := c.limits.Load()
	if l, ok := table.Tenants[tenant]; ok {
		return l
	}
	return table.Default
}

// share is what the feeder has to know of them.
func (c *Coordinator) share(tenant string) feeder.Limits {
	l := c.Limits(tenant)
	return feeder.Limits{Running: l.Running, Weight: l.Weight}
}

// SetLimits puts other limits in force, at once. What a tenant has already, it keeps.
func (c *Coordinator) SetLimits(table LimitTable) {
	table = table.withDefaults()
	c.limits.Store(&table)
	c.feeder.Relimit()
}
