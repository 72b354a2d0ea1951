package powercut

import (
	"testing"

	"github.com/program-explorer/pe/internal/hosttest"
)

// fewest and most answers before the power is cut.
const fewest, most = 40, 160

// up is the system in one process.
func up(args ...string) []string {
	return append([]string{
		"/ped", "up", "--data-dir", "/data/ped", "--listen", "10.0.2.15:7300", "--token-file", "/tokens",
		"--isolation", "noop", "--catalog", "/catalog.yaml", "--noop-echo", "--slots", "4", "--log-level", "warn",
	}, args...)
}

// objects is where `ped up` keeps them.
const objects = "/data/ped/objects"

// TestPowerCut: nothing is lost that was acknowledged.
func TestPowerCut(t *testing.T) {
	random := hosttest.Seeded(t)
	computer, all := newComputer(t, orders{Commands: [][]string{up()}}), newLedger()
	m := computer.on()
	for cut := range *rounds {
		now := newLedger()
		load(m, now, fewest+random.IntN(most-fewest))
		all.add(now)
		m = computer.on()
		t.Logf("cut %d: %v acknowledged", cut+1, now)
		if lost := now.check(t.Context(), t, m.client); !lost.none() {
			t.Errorf("cut %d: lost %v", cut+1, lost)
		}
		if t.Failed() {
			t.Fatal(computer.said())
		}
	}
	if lost := all.check(t.Context(), t, m.client); !lost.none() {
		t.Errorf("after %d cuts: lost %v", *rounds, lost)
	}
	t.Logf("after %d cuts: %v acknowledged, all of it there", *rounds, all)
}

// TestDefaultSyncInterval is a control: a NATS server that syncs every two
// minutes, its default, loses jobs that were acknowledged.
func TestDefaultSyncInterval(t *testing.T) {
	o := orders{Commands: [][]string{{"/nats-server", "-c", "/nats.conf"}, up("--nats-url", "nats://127.0.0.1:4222")}}
	if lost := cutOnce(t, o); len(lost.Jobs) == 0 {
		t.Errorf("lost %v: this test would not see a NATS server that does not sync", lost)
	}
}

// TestStoreWithoutFsync is a control: a store that does not sync loses objects
// that were acknowledged, and no jobs.
func TestStoreWithoutFsync(t *testing.T) {
	lost := cutOnce(t, orders{Commands: [][]string{up()}, Unsynced: objects})
	if len(lost.Objects) == 0 || len(lost.Jobs) > 0 {
		t.Errorf("lost %v: this test would not see a store that does not sync", lost)
	}
}

// cutOnce loads a system, cuts its power and says what it lost.
func cutOnce(t *testing.T, o orders) *losses {
	t.Helper()
	computer, l := newComputer(t, o), newLedger()
	load(computer.on(), l, fewest)
	lost := l.check(t.Context(), t, computer.on().client)
	t.Logf("%v acknowledged; lost %v", l, lost)
	return lost
}
