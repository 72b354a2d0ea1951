package vm

import (
	"testing"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/executor/snapshot"
	"github.com/program-explorer/pe/imagesync"
)

// The minimum of the catalog is for the machines that Keep was asked for: else each size of
// machine that some job once had would have its own, for ever.
func TestMinimumIsForKeptMachines(t *testing.T) {
	t.Parallel()
	store, err := snapshot.Open(snapshot.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	host, err := NewHost(HostConfig{Snapshots: store, PoolBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	r := &Runner{host: host}
	shape := executor.Shape{Image: &imagesync.Image{Pool: &imagesync.PoolSize{Min: 2, Max: 3}}}
	host.kept.Store("kept", true)
	for id, low := range map[string]int{"kept": 2, "other": 0} {
		r.want(id, shape)
		found := false
		for _, k := range host.pool.Stats().Kinds {
			if k.Key == id {
				found = k.Min == low && k.Max == 3
			}
		}
		if !found {
			t.Errorf("%s: %+v", id, host.pool.Stats().Kinds)
		}
	}
}
