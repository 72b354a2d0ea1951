//go:build linux

package oci

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/program-explorer/pe/executor/ocirun"
	"github.com/program-explorer/pe/schemas"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// BenchmarkJob prints what a job costs from Start to its result in a machine that waited, beside `podman run` of the same root.
func BenchmarkJob(t *testing.B) {
	img := image(t, "gcc")
	gcc := shell("")
	gcc.Argv = []string{"gcc", "--version"}
	gcc.Limits.Memory, gcc.Limits.PIDs = 512<<20, 128
	roots, err := ocirun.NewRoots(folder(t))
	if err != nil {
		t.Fatal(err)
	}
	defer roots.Close()
	root, err := roots.Mount("gcc", img.ErofsPath)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Release()
	ways := map[string]func() time.Duration{}
	stages := map[string][]time.Duration{}
	for _, kind := range kinds {
		r := newRunner(t, kind, func(c *Config) { c.PoolBytes = 1 << 30 })
		shape := shapeOf(t, img)
		runJob(t, r, shape, gcc)
		ways[kind] = func() time.Duration {
			for deadline := time.Now().Add(20 * time.Second); ready(r) == 0; {
				if time.Now().After(deadline) {
					t.Fatal("no machine waits")
				}
				time.Sleep(5 * time.Millisecond)
			}
			shape.Name = "job-" + unique()
			begin := time.Now()
			m, err := r.Start(t.Context(), shape)
			if err != nil {
				t.Fatal(err)
			}
			ended, err := m.Run(t.Context(), workOf(gcc))
			took := time.Since(begin)
			if err != nil || ended.Start != schemas.StartPooled || ended.Exit.Code != 0 {
				t.Fatalf("%s, %+v, %v", ended.Start, ended.Exit, err)
			}
			for _, s := range ended.Spans {
				stages[kind+" "+s.Name] = append(stages[kind+" "+s.Name], time.Duration(s.EndUS-s.StartUS)*time.Microsecond)
			}
			closing := time.Now()
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
			stages[kind+" close"] = append(stages[kind+" close"], time.Since(closing))
			return took
		}
	}
	if podman, err := exec.LookPath("podman"); err == nil {
		over := filepath.Join(folder(t), "root")
		scratch := folder(t)
		if err := exec.Command("mkdir", over, scratch+"/u", scratch+"/w").Run(); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount("overlay", over, "overlay", 0, "lowerdir="+root.Path+",upperdir="+scratch+"/u,workdir="+scratch+"/w"); err != nil {
			t.Fatal(err)
		}
		defer unix.Unmount(over, unix.MNT_DETACH)
		ways["podman"] = func() time.Duration {
			begin := time.Now()
			if out, err := exec.Command(podman, "run", "--rm", "--network=none", "--runtime=runc", "--ulimit=nofile=20000:20000", "--ulimit=nproc=1000:1000", "--rootfs", over, "gcc", "--version").CombinedOutput(); err != nil {
				t.Fatalf("podman: %v: %s", err, out)
			}
			return time.Since(begin)
		}
	}
	took := map[string][]time.Duration{}
	for range 21 {
		for name, way := range ways {
			took[name] = append(took[name], way())
		}
	}
	for name, all := range took {
		t.Logf("gcc --version, %s: p50 %s, of %d", name, median(all), len(all))
	}
	for name, all := range stages {
		t.Logf("  %s: p50 %s", name, median(all))
	}
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2].Round(10 * time.Microsecond)
}

// ready is how many machines wait.
func ready(r *Runner) (n int) {
	for _, k := range r.pool.Stats().Kinds {
		n += k.Waiting
	}
	return n
}

// BenchmarkWork compares `gcc -O2` of a large file with the same program on the bare host.
func BenchmarkWork(t *testing.B) {
	img := image(t, "gcc")
	roots, err := ocirun.NewRoots(folder(t))
	if err != nil {
		t.Fatal(err)
	}
	defer roots.Close()
	root, err := roots.Mount("gcc", img.ErofsPath)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Release()
	source := largeSource()
	argv := []string{"gcc", "-O2", "-S", "-o", "-", "-x", "c", "-"}
	// Processor time: a busy host gives a cgroup of its own another share of it than a process like others.
	ways := map[string]func() time.Duration{"bare": func() time.Duration {
		cmd := exec.Command("/usr/bin/gcc", argv[1:]...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root.Path}
		cmd.Dir, cmd.Stdin, cmd.Env = "/", strings.NewReader(source), []string{"PATH=/usr/bin:/bin"}
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}}
	for _, kind := range kinds {
		r := newRunner(t, kind, nil)
		ways[kind] = func() time.Duration {
			m, err := r.Start(t.Context(), shapeOf(t, img))
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			job := shell("exec " + strings.Join(argv, " ") + " > /dev/null")
			job.Limits.Memory = 1 << 30
			job.Stdin.Via = guestproto.ViaChannel
			work := workOf(job)
			work.Stdin = strings.NewReader(source)
			ended, err := m.Run(t.Context(), work)
			if err != nil || ended.Exit.Code != 0 || ended.Exit.Signal != 0 {
				t.Fatalf("%+v, %v", ended.Exit, err)
			}
			return time.Duration(ended.Exit.Rusage.UserUS+ended.Exit.Rusage.SysUS) * time.Microsecond
		}
	}
	took := map[string][]time.Duration{}
	for range 5 {
		for name, way := range ways {
			took[name] = append(took[name], way())
		}
	}
	for name, all := range took {
		t.Logf("gcc -O2, %s: p50 %s of processor, %.2f × bare", name, median(all), float64(median(all))/float64(median(took["bare"])))
	}
}

// largeSource is a program of some 5,000 lines, all of them different.
func largeSource() string {
	var b strings.Builder
	for i := range 300 {
		fmt.Fprintf(&b, `
static unsigned f%[1]d(unsigned a, const unsigned char *p, unsigned n)
{
	unsigned i, h = a ^ %[1]du;
	for (i = 0;
	     i < n;
	     i++) {
		h = (h << 5) + (h >> 27) + p[i] * %[2]du;
		if (h & 1) h ^= p[(i + %[1]d) %% n];
		switch (h %% 5) { case 0: h += i; break; case 1: h -= %[1]d; break; case 2: h = ~h; break; default: h *= 33; }
	}
	return h;
}
unsigned g%[1]d(const unsigned char *p, unsigned n) { return f%[1]d(n, p, n) + f%[1]d(n / 2 + 1, p + 1, n / 2 + 1); }
`, i, i*2+1)
	}
	return b.String()
}
