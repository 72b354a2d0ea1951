package host

import (
	"os"
	"path/filepath"
	"testing"
)

func TestProcField(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cpuinfo")
	text := "processor\t: 0\nmodel name\t: A: B\nmodel name\t: C\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]string{"model name": "A: B", "processor": "0", "absent": ""} {
		if got := procField(path, field); got != want {
			t.Errorf("%s is %q, want %q", field, got, want)
		}
	}
	if got := procField(path+".absent", "processor"); got != "" {
		t.Errorf("a file that isn't there has %q", got)
	}
}

func TestThisHost(t *testing.T) {
	if MemoryBytes() < 64<<20 || KernelRelease() == "" {
		t.Errorf("memory %d, kernel %q", MemoryBytes(), KernelRelease())
	}
}
