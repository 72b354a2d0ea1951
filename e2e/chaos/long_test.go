package chaos

import (
	"testing"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// longPlan has real machines, too: gVisor's and containers.
func longPlan(t *testing.T) plan {
	t.Helper()
	p := plan{
		setup: setup{gateways: 2, noops: 3, ways: map[string]way{}}, jobs: *jobs, pause: 280 * time.Millisecond, rest: 600 * time.Millisecond,
		kills: 200, least: 3, length: *last, compareEvery: 20,
	}
	guests, runsc := cached("guest"), cached("bin", "runsc")
	if guests == "" || runsc == "" || cached("images", "busybox") == "" {
		t.Fatal("the long run wants real machines: deploy/setup.sh --for test")
	}
	common := []string{"--guest-dir", guests, "--slots", "1"}
	p.ways["sandbox-1"] = way{append([]string{"--isolation", "gvisor", "--runsc", runsc}, common...), ofMachine}
	p.ways["container-1"] = way{append([]string{"--isolation", "container", "--container-image", "busybox"}, common...), ofGuest}
	p.real = []schemas.Requires{{Isolation: schemas.IsolationGVisor}, {Isolation: schemas.IsolationContainer}}
	return p
}
