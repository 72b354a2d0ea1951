package qemu

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// TestSweepTakesGroups: of a machine whose owner was killed nothing is left, and
// nothing of one whose owner was killed before it was there.
func TestSweepTakesGroups(t *testing.T) {
	t.Parallel()
	groups, err := FindCgroups()
	if err != nil {
		lacks(t, "%s", err)
	}
	run := t.TempDir()
	c := needGuest(t).config()
	c.RunDir, c.Cgroups, c.User = run, groups, SlotUser(12)
	m, err := Boot(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	path := filepath.Join(run, "pe-"+m.Instance()+".json")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var r runFile
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Cgroup) != len(groups.parents()) {
		t.Fatalf("the run file tells of groups %v", r.Cgroup)
	}
	unborn := r
	unborn.Instance, unborn.PID = newInstance(), 1<<30
	unborn.Cgroup = groups.folders(processName(unborn.Instance))
	if err := os.Mkdir(unborn.Cgroup[0], 0o755); err != nil {
		t.Fatal(err)
	}
	for _, dead := range []runFile{r, unborn} {
		dead.Owner, dead.OwnerStart = 1, "long ago"
		if b, err = json.Marshal(dead); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(run, "pe-"+dead.Instance+".json"), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(run, "pe-half.json"+halfRunFile), b[:9], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Sweep(run); err != nil {
		t.Fatal(err)
	}
	for _, dir := range append(r.Cgroup, unborn.Cgroup...) {
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s is left", dir)
			_ = os.Remove(dir)
		}
	}
	if left, _ := os.ReadDir(run); len(left) > 0 {
		t.Errorf("files left: %v", left)
	}
}
