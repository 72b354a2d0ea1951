package coordinator

import "github.com/program-explorer/pe/schemas"

// Usage is what a tenant has and may have, as this gateway knows it.
func (c *Coordinator) Usage(tenant string) (u schemas.TenantUsage, err error) {
	if !c.state.isLoaded() {
		return u, ErrLoading
	}
	may := c.Limits(tenant)
	u = schemas.TenantUsage{
		Tenant: tenant, MaxQueued: may.Queued, MaxRunning: may.Running, MaxRequirements: may.Pools, MaxStoredBytes: may.StoredBytes,
		Weight: may.Weight, Running: c.feeder.Running(tenant),
	}
	queued, pools, _ := c.state.usage(tenant, c.cfg.PoolIdle)
	u.Queued, u.Requirements = queued, len(pools)
	bytes, counted := c.stored(tenant)
	if u.StoredBytes = bytes; !counted.IsZero() {
		u.CountedUS = counted.UnixMicro()
	}
	return u, nil
}
