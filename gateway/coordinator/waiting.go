package coordinator

import (
	"fmt"
	"strings"
	"time"

	"github.com/program-explorer/pe/gateway/feeder"
	"github.com/program-explorer/pe/schemas"
)

// Waiting says why a queued job waits, when it is not only its turn.
func (c *Coordinator) Waiting(rec schemas.Record) string {
	if rec.State != schemas.StateQueued {
		return ""
	}
	if rec.Follows != "" {
		return c.behind(rec) + until(rec)
	}
	able := c.fleet.Able(rec.Needs)
	switch {
	case !anyUp(able):
		return absence(able) + until(rec)
	case feeder.UntilDue(time.UnixMicro(rec.NotBeforeUS), c.cfg.Now()) > 0:
		return "its last attempt failed; it is tried again soon"
	}
	if most, held := c.feeder.HeldBack(schemas.RecordKey(rec.Tenant, rec.ID)); held {
		return fmt.Sprintf("its tenant has %d jobs running or about to run, as many as it may at one time", most)
	}
	return ""
}

// behind says for which job one waits that is not run itself.
func (c *Coordinator) behind(rec schemas.Record) string {
	leader, _, _ := c.state.live(schemas.RecordKey(rec.Tenant, rec.Follows))
	if leader.State == schemas.StateRunning {
		return "the same job runs already as " + rec.Follows
	}
	return "the same job is queued already as " + rec.Follows
}

func anyUp(able []schemas.Executor) bool {
	for _, e := range able {
		if e.State == schemas.ExecutorUp {
			return true
		}
	}
	return false
}

// maxNamed bounds how many executors a line names.
const maxNamed = 3

// absence says who could run a job that nobody can run now.
func absence(able []schemas.Executor) string {
	if len(able) == 0 {
		return "no executor is known that has what the job requires"
	}
	var names []string
	for _, e := range able[:min(len(able), maxNamed)] {
		if e.State == schemas.ExecutorDraining {
			names = append(names, e.Executor+" (takes no more jobs)")
			continue
		}
		names = append(names, e.Executor+" (not seen since "+instant(e.SeenUS)+")")
	}
	if more := len(able) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return "no executor that has what the job requires is connected now; it waits for " + strings.Join(names, ", ")
}

func until(rec schemas.Record) string {
	at := rec.ExpiresUS()
	if at == 0 {
		return ""
	}
	return "; it expires at " + instant(at)
}

func instant(us int64) string { return time.UnixMicro(us).UTC().Format("2006-01-02 15:04:05 UTC") }
