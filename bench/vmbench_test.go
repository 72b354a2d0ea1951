package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseVM(t *testing.T) {
	got, err := parseVM([]byte(`{"measure":"store","arch":"amd64","runs":2,"workers":1,"samples_ms":[120.5,131],"per_second":7.9,
		"memory_bytes":536870912,"stored_bytes":[33554432,33558528],"how":"sparse copy","filesystem":"ext4","cpu_ms":[80,82],"later":1}`), "store")
	want := vmReport{
		Measure: "store", Arch: "amd64", Runs: 2, Workers: 1, SamplesMS: []float64{120.5, 131}, PerSecond: 7.9,
		MemoryBytes: 512 << 20, StoredBytes: []int64{33554432, 33558528}, How: "sparse copy", Filesystem: "ext4", CPUMS: []float64{80, 82},
	}
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A figure that is not there must not become a 0 in the table.
func TestParseVMRefusesWhatIsNoAnswer(t *testing.T) {
	for measure, text := range map[string]string{
		"discard": ``,
		"restore": `{"measure":"discard","samples_ms":[1],"boot_ms":[9]}`,
		"store":   `{"measure":"store","per_second":3,"stored_bytes":[1]}`,
		"pss":     `{"measure":"pss","memory_bytes":536870912}`,
		"soak":    `{"measure":"soak","runs":10,"leaked":{"processes":0,"fds":0,"files":0}}`,
	} {
		if r, err := parseVM([]byte(text), measure); err == nil {
			t.Errorf("%s: %s was taken for %+v", measure, text, r)
		}
	}
	if _, err := parseVM([]byte(`{"measure":"restore","samples_ms":[100]}`), "restore"); err == nil {
		t.Error("restores without the boots in between were taken")
	}
}

func TestParseBaked(t *testing.T) {
	got, err := parseBaked([]byte(`[{"id":"e1a0","image":"gcc","disk_bytes":108568576,"bake_ms":6185,"state":"ready"}]`))
	if want := (baked{BakeMS: 6185, DiskBytes: 108568576}); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, text := range []string{``, `[]`, `[{"id":"e1a0"}]`, `[{"bake_ms":1,"disk_bytes":1},{"bake_ms":1,"disk_bytes":1}]`} {
		if got, err := parseBaked([]byte(text)); err == nil {
			t.Errorf("%q: got %+v", text, got)
		}
	}
}
