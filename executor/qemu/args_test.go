package qemu

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files")

// full is a machine with one of everything, independent of the host.
func full(arch, accel, hostOS string) Config {
	c := Config{
		Instance: "abc", Arch: arch, Binary: "/usr/bin/qemu", Accel: accel, CPUs: 2, Memory: 512 << 20,
		Kernel: "/bundle/kernel", Initramfs: "/bundle/initramfs.cpio", Append: "  pe.debug=1 ",
		Disks:  []Disk{{Name: "rootfs", Path: "/cache/root.erofs", ReadOnly: true}, {Name: "inputs", Path: "/job/in", Size: 4096}},
		hostOS: hostOS,
	}
	if spec, err := archOf(arch); err == nil && spec.counter && accel == TCG {
		c.CounterKHz = 2_600_000
	}
	return c
}

func TestArgs(t *testing.T) {
	t.Parallel()
	for _, c := range []Config{
		full("amd64", TCG, "linux"), full("amd64", KVM, "linux"),
		full("arm64", TCG, "linux"), full("arm64", KVM, "linux"), full("arm64", HVF, "darwin"),
		full("riscv64", TCG, "linux"), full("riscv64", TCG, "darwin"),
	} {
		name := fmt.Sprintf("%s-%s-%s", c.hostOS, c.Arch, c.Accel)
		for suffix, c := range map[string]Config{"": c, "-bake": baked(c), "-restore": restored(c), "-rebake": restored(baked(c))} {
			goldenArgs(t, name+suffix, c)
		}
	}
}

func baked(c Config) Config {
	c.RAM = os.Stdin
	return c
}

func restored(c Config) Config {
	c.template = &Template{size: c.Memory}
	return c
}

func goldenArgs(t *testing.T, name string, c Config) {
	t.Helper()
	args, fds, err := Args(c)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	var got strings.Builder
	for _, a := range args {
		if strings.HasPrefix(a, "-") && got.Len() > 0 {
			got.WriteString("\n")
		} else if got.Len() > 0 {
			got.WriteString(" ")
		}
		got.WriteString(a)
	}
	got.WriteString("\n")
	for _, f := range fds {
		fmt.Fprintf(&got, "# descriptor %d: %s %d\n", f.FD, f.Role, f.Disk)
	}
	golden(t, filepath.Join("testdata", "args", name), got.String())
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", path, got, want)
	}
}

func TestArgsRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"architecture":  {func(c *Config) { c.Arch = "sparc" }, `unknown architecture "sparc"`},
		"accelerator":   {func(c *Config) { c.Accel = "xen" }, `unknown accelerator "xen"`},
		"instance":      {func(c *Config) { c.Instance = "a,process=init" }, "instance"},
		"cpu model":     {func(c *Config) { c.CPUModel = "max -monitor" }, "cpu model"},
		"cpus":          {func(c *Config) { c.CPUs = 65 }, "65 cpus"},
		"no memory":     {func(c *Config) { c.Memory = 0 }, "memory of 0 bytes"},
		"odd memory":    {func(c *Config) { c.Memory++ }, "whole MiB"},
		"no kernel":     {func(c *Config) { c.Kernel = "" }, "no kernel"},
		"root":          {func(c *Config) { c.User = &Credential{UID: 0, GID: 5} }, "privileged"},
		"disk name":     {func(c *Config) { c.Disks[0].Name = "a,readonly=off" }, "name is not"},
		"long name":     {func(c *Config) { c.Disks[0].Name = strings.Repeat("a", 21) }, "name is not"},
		"same name":     {func(c *Config) { c.Disks[0].Name = c.Disks[1].Name }, "name is used twice"},
		"no file":       {func(c *Config) { c.Disks[0].Path = "" }, "one of file and path"},
		"odd size":      {func(c *Config) { c.Disks[1].Size = 511 }, "multiple of 512"},
		"size of fixed": {func(c *Config) { c.Disks[0].Size = 512 }, "read-only disk has"},
		"many disks":    {func(c *Config) { c.Disks = make([]Disk, maxDisks+1) }, "want at most"},
	} {
		config := full("amd64", TCG, "linux")
		c.change(&config)
		if _, _, err := Args(config); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, c.want)
		}
	}
}

func TestRecipe(t *testing.T) {
	t.Parallel()
	recipe := func(change func(*Config)) string {
		t.Helper()
		c := full("amd64", TCG, "linux")
		change(&c)
		args, err := Recipe(c)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(args, "\n")
	}
	want := recipe(func(*Config) {})
	for name, change := range map[string]func(*Config){
		"instance": func(c *Config) { c.Instance = "other" },
		"user":     func(c *Config) { c.User = &Credential{5, 5} },
		"files":    func(c *Config) { c.Kernel, c.Initramfs, c.Disks[0].Path = "/k", "/i", "/d" },
		"memory":   func(c *Config) { c.RAM = os.Stderr },
	} {
		if recipe(change) != want {
			t.Errorf("another %s gives another recipe", name)
		}
	}
	for name, change := range map[string]func(*Config){
		"clock rate":   func(c *Config) { c.CounterKHz++ },
		"memory":       func(c *Config) { c.Memory *= 2 },
		"cpus":         func(c *Config) { c.CPUs++ },
		"model":        func(c *Config) { c.CPUModel = "max" },
		"accelerator":  func(c *Config) { c.Accel = KVM },
		"architecture": func(c *Config) { c.Arch = "riscv64" },
		"command line": func(c *Config) { c.Append += " more" },
		"disks":        func(c *Config) { c.Disks[1].ReadOnly, c.Disks[1].Size = true, 0 },
	} {
		if recipe(change) == want {
			t.Errorf("another %s gives the same recipe", name)
		}
	}
}
