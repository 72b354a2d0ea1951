package canned

import (
	"net/http"

	"github.com/program-explorer/pe/schemas"
)

func (g *Gateway) usage(w http.ResponseWriter, _ *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.reply(w, http.StatusOK, "tenant-usage", schemas.TenantUsage{
		Tenant: "alice", Queued: len(g.jobs), MaxQueued: 1000, Running: 3, MaxRequirements: 128, StoredBytes: 3 << 29, MaxStoredBytes: 10 << 30,
		CountedUS: epoch, Weight: 2, RequestsPerS: 0.5, RequestsAtOnce: 2,
	})
}
