//go:build linux

package oci

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/program-explorer/pe/executor/ocirun"
	"github.com/program-explorer/pe/executor/session"
)

// Whatever root of a job tries, nothing of the host can be read, written or seen.
func TestJobCannotReachHost(t *testing.T) {
	secret := filepath.Join(folder(t), "secret")
	if err := os.WriteFile(secret, []byte("of the host"), 0o644); err != nil {
		t.Fatal(err)
	}
	before, err := fileDigest(guestrd())
	if err != nil {
		t.Fatal(err)
	}
	tries := strings.Join([]string{
		"cat " + secret, "cat /../../../" + secret, "cat /proc/1/root" + secret, "cat /proc/self/root/../.." + secret,
		"echo x > /dev/.guestrd", "chmod 777 /dev/.guestrd", "rm /dev/.guestrd", "mount -o remount,rw /dev/.guestrd",
		"mkdir /m && mount -t proc proc /m", "mount -t cgroup2 none /m && mkdir /m/x", "mount -t cgroup -o memory none /m && echo 1 > /m/release_agent",
		"mount -t tmpfs none /m", "mount --bind / /m", "mount -t overlay -o lowerdir=/,upperdir=/tmp,workdir=/work none /m",
		"find /sys/fs/cgroup -name memory.max -o -name memory.limit_in_bytes | grep .", "echo 1 > /sys/fs/cgroup/cgroup.procs",
		"echo /evil > /proc/sys/kernel/core_pattern", "echo 0 > /proc/sys/kernel/randomize_va_space", "echo 1 > /proc/sys/net/ipv4/ip_forward", "echo c > /proc/sysrq-trigger",
		"mknod /x b 254 0 && cat /x", "cat /dev/vda /dev/sda /dev/mem /dev/kmsg", "ls /dev/loop0 /dev/kvm",
		"unshare -r true", "unshare -m true", "nsenter -t 1 -m true", "chroot / true", "hostname evil", "ip link add x type dummy",
		"kill -9 1", "kill -STOP 1", "cat /proc/1/environ", "cat /proc/1/mem", "readlink /proc/1/exe", "echo -1000 > /proc/self/oom_score_adj", "echo 0 > /proc/1/oom_score_adj",
		"dmesg | grep .", "swapoff -a", "insmod /x.ko", "nice -n -10 true", "ulimit -Hn 1000000",
	}, "\n")
	forKinds(t, func(t *testing.T, kind string) {
		r := newRunner(t, kind, nil)
		job := shell("while read -r try; do (eval \"$try\") </dev/null >/tmp/out 2>/dev/null && echo \"$try: $(head -c 50 /tmp/out)\"; done; echo end")
		g := boot(t, r, image(t, "busybox"))
		job.Stdin.Via = "channel"
		var stdout string
		out, err := g.Run(t.Context(), session.Request{Job: &job, Stdin: strings.NewReader(tries + "\n"), Stdout: func(p []byte) { stdout += string(p) }})
		if err != nil || out.Exit.Code != 0 || out.Exit.Signal != 0 {
			t.Fatalf("%+v, %v", out.Exit, err)
		}
		// Who goes first when its machine's memory is short is the job's own concern; and gVisor's kernel does not ask.
		harmless := []string{"echo 0 > /proc/1/oom_score_adj: "}
		if kind == "gvisor" {
			harmless = append(harmless, "echo -1000 > /proc/self/oom_score_adj: ")
		}
		for line := range strings.Lines(stdout) {
			line = strings.TrimSuffix(line, "\n")
			if line != "end" && !slices.Contains(harmless, line) {
				t.Errorf("this was possible: %s", line)
			}
		}
		if !strings.HasSuffix(stdout, "end\n") {
			t.Errorf("stdout %q", stdout)
		}
	})
	if after, err := fileDigest(guestrd()); err != nil || after != before {
		t.Errorf("guestrd was changed: %v", err)
	}
	if b, err := os.ReadFile("/proc/sys/kernel/core_pattern"); err != nil || strings.Contains(string(b), "evil") {
		t.Errorf("core pattern %q, %v", b, err)
	}
}

// Users of a container are nobody on the host, and no two containers have the same.
func TestUsersOfContainers(t *testing.T) {
	r := newRunner(t, "container", nil)
	seen := map[string]bool{}
	for range 2 {
		g := boot(t, r, image(t, "busybox"))
		job := shell("cat /proc/self/uid_map")
		var stdout string
		if _, err := g.Run(t.Context(), session.Request{Job: &job, Stdout: func(p []byte) { stdout += string(p) }}); err != nil {
			t.Fatal(err)
		}
		f := strings.Fields(stdout)
		if len(f) != 3 || f[0] != "0" || len(f[1]) < 9 || f[2] != "65537" || seen[f[1]] {
			t.Errorf("users %q", stdout)
			continue
		}
		seen[f[1]] = true
	}
}

// sweepMe in the environment makes the test a process that is killed while its machine runs.
const (
	sweepMe   = "PE_TEST_SWEEP_DIR"
	sweepWork = "PE_TEST_SWEEP_WORK" // the folder of the process that kills it
)

// A killed executor's machines are ended by the next one: processes, cgroups, mounts, folders.
func TestSweep(t *testing.T) {
	if dir := os.Getenv(sweepMe); dir != "" {
		dieWithMachine(t, dir)
		return
	}
	forKinds(t, func(t *testing.T, kind string) {
		dir := folder(t)
		cmd := exec.Command(os.Args[0], "-test.run=^TestSweep$", "-test.v")
		cmd.Env = append(os.Environ(), sweepMe+"="+dir, sweepWork+"="+workDir, "PE_TEST_SWEEP_KIND="+kind)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for lines.Scan() && !strings.Contains(lines.Text(), "job runs") {
			if strings.Contains(lines.Text(), "FAIL") {
				t.Fatal(lines.Text())
			}
		}
		if swept, err := ocirun.Sweep(filepath.Join(dir, "run")); err != nil || len(swept) != 0 {
			t.Errorf("a living process's machines were swept: %q, %v", swept, err)
		}
		_ = cmd.Process.Kill()
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait()
		if len(processesOf(t, "swept-"+kind)) == 0 {
			t.Error("nothing of it runs, so nothing is tested")
		}
		swept, err := ocirun.Sweep(filepath.Join(dir, "run"))
		if err != nil || len(swept) != 2 { // the machine, and the mounts of images
			t.Errorf("swept %q, %v", swept, err)
		}
		if live := processesOf(t, "swept-"+kind); len(live) != 0 {
			t.Errorf("processes %d live", live)
		}
		mounts, err := os.ReadFile("/proc/self/mountinfo")
		if err != nil || strings.Contains(string(mounts), dir) {
			t.Errorf("mounts stay, %v", err)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "run", "*")); len(left) != 0 {
			t.Errorf("left %q", left)
		}
		if left, _ := filepath.Glob("/sys/fs/cgroup/*/pe-oci-swept*"); len(left) != 0 {
			t.Errorf("left %q", left)
		}
	})
}

// processesOf are the living ones in a machine's cgroup.
func processesOf(t *testing.T, machine string) (pids []int) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range all {
		stat, err := os.ReadFile(filepath.Join(filepath.Dir(path), "stat"))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			continue // gone, or dead and not yet waited for
		}
		if b, err := os.ReadFile(path); err == nil && strings.Contains(string(b), "/pe-oci-"+machine) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}

func dieWithMachine(t *testing.T, dir string) {
	kind := os.Getenv("PE_TEST_SWEEP_KIND")
	r := newRunner(t, kind, func(c *Config) { c.RunDir = filepath.Join(dir, "run") })
	g, err := r.boot(t.Context(), "swept-"+kind, image(t, "busybox"), nil)
	if err != nil {
		t.Fatal(err)
	}
	job := shell("echo up; sleep 300")
	_, err = g.Run(t.Context(), session.Request{Job: &job, Stdout: func([]byte) {
		// A machine that hears of its host's death ends by itself: this one can't.
		for _, pid := range processesOf(t, "swept-"+kind) {
			if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
				t.Error(err)
			}
		}
		os.Stdout.WriteString("job runs\n")
		time.Sleep(time.Minute)
	}})
	t.Fatal(err)
}
