package vm_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/executor/session"
	"github.com/program-explorer/pe/executor/vm"
	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/schemas"
)

// traces leaves a word wherever a program can write, and processes, and sockets and shared memory of them.
const traces = `word=%s; for d in /etc /tmp /var/tmp /root /work /output /dev/shm /opt /; do mkdir -p $d; echo trace-$word > $d/trace; done
(trap '' TERM HUP; sh -c 'sleep 1000; :' trace-$word) & (nc -lk -p 7777 -e echo trace-$word) 2>/dev/null & sleep 0.2`

// lookAround is what a job finds that searches its machine for others, as root in its image: one
// paragraph for each place.
const lookAround = `
echo '== traces'; find / -xdev -name trace -exec cat {} + 2>/dev/null; cat /dev/shm/* /output/* /tmp/* /work/* 2>/dev/null
echo '== processes'; for p in /proc/[0-9]*; do test $p = /proc/1 || test $p = /proc/$$ || tr '\0' ' ' < $p/cmdline; done 2>/dev/null | grep -o 'trace-[a-z0-9][a-z0-9-]*'
echo '== network'; cat /proc/net/unix /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep -vE 'Num|local_address'; nc -w 1 127.0.0.1 7777 2>/dev/null
echo '== ipc'; tail -n +2 /proc/sysvipc/shm /proc/sysvipc/sem /proc/sysvipc/msg 2>/dev/null | grep '[0-9]'
echo '== disks'; for b in /sys/block/*; do echo $(cat $b/serial 2>/dev/null) $(cat $b/size); done | sort
echo '== nodes'; ls /dev; find / -xdev '(' -type b -o -type c ')' 2>/dev/null
echo '== raw'; for n in /sys/block/*/dev; do mknod /tmp/raw b $(tr : ' ' < $n) 2>/dev/null && echo made; done; cat /dev/vd* /dev/mem /proc/kcore 2>/dev/null | head -c 64
echo '== firmware'; cat /sys/firmware/qemu_fw_cfg/by_name/*/*/raw /sys/firmware/qemu_fw_cfg/by_key/*/raw 2>/dev/null | head -c 64
echo '== mounts'; cut -d ' ' -f 1,2 /proc/mounts
echo '== command'; cat /proc/cmdline
echo '== end'`

// TestTenantsSeeNothing runs the jobs of two tenants in machines that have waited. Each leaves traces wherever it
// can, as the warm-up has before in every machine, and looks for those of others, of the host and of the snapshot.
func TestTenantsSeeNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	host, _ := newHost(t, dir, nil)
	r := newRunner(t, host)
	img := image(t, "busybox")
	img.Warmup = []imagesync.Warmup{{Argv: []string{"sh", "-c", fmt.Sprintf(traces, "$(cat /proc/sys/kernel/random/uuid)")}, Timeout: time.Minute}}
	shape := executor.NewShape(img, schemas.JobSpec{}.WithDefaults().Limits)
	baked := ""
	for _, tenant := range []string{"a", "b"} {
		m, err := r.BarePooled(t.Context(), withName(shape, "of-"+tenant))
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		holdsOnlyItsOwn(t, m, dir)
		blank(t, m.Input)
		blank(t, m.Output)
		found := paragraphs(hear(t, m, lookAround+"\n"+fmt.Sprintf(traces, tenant)))
		words := slices.Compact(slices.Sorted(slices.Values(strings.Fields(found["traces"]))))
		// What the bake's warm-up wrote is part of the image; what the waiting machine's wrote is not there.
		if len(words) != 1 || baked != "" && words[0] != baked {
			t.Errorf("%s finds %q; before %q", tenant, words, baked)
		}
		baked = strings.Join(words, " ")
		checkFound(t, tenant, found, dir)
	}
}

// hear runs a shell command in a machine and returns what it writes.
func hear(t *testing.T, m *vm.Bare, command string) string {
	t.Helper()
	job, said := shellJob(command), ""
	job.Output.Via = "none"
	out, err := m.Run(t.Context(), session.Request{
		Job: &job, Stdout: func(p []byte) { said += string(p) }, Stderr: func(p []byte) { t.Logf("stderr: %s", p) },
	})
	if err != nil || out.Exit.Signal != 0 {
		t.Fatalf("%+v, %v", out.Exit, err)
	}
	return said
}

// paragraphs are what follows each title.
func paragraphs(text string) map[string]string {
	all := map[string]string{}
	for part := range strings.SplitSeq("\n"+text, "\n== ") {
		title, rest, _ := strings.Cut(part, "\n")
		all[title] = strings.TrimSpace(rest)
	}
	return all
}

func checkFound(t *testing.T, tenant string, found map[string]string, dir string) {
	t.Helper()
	if _, whole := found["end"]; !whole || len(found) != 12 {
		t.Fatalf("%s looked at %d places: %q", tenant, len(found), found)
	}
	for _, place := range []string{"processes", "network", "ipc", "raw", "firmware"} {
		if found[place] != "" {
			t.Errorf("%s finds in %s: %q", tenant, place, found[place])
		}
	}
	if want := `^input 8\noutput \d+\nroot \d+$`; !regexp.MustCompile(want).MatchString(found["disks"]) {
		t.Errorf("%s sees disks %q, want %s", tenant, found["disks"], want)
	}
	const nodes = "fd full null ptmx pts random shm stderr stdin stdout tty urandom zero"
	if got := strings.Join(strings.Fields(found["nodes"]), " "); got != nodes {
		t.Errorf("%s sees nodes %q, want %q", tenant, got, nodes)
	}
	for _, place := range []string{"mounts", "command"} {
		if found[place] == "" || strings.Contains(found[place], dir) || strings.Contains(found[place], "/vd") {
			t.Errorf("%s sees in %s: %q", tenant, place, found[place])
		}
	}
}

// holdsOnlyItsOwn fails for each file that a QEMU has besides its snapshot's three, which it can't
// write to, and two disks without a name.
func holdsOnlyItsOwn(t *testing.T, m *vm.Bare, store string) {
	t.Helper()
	want := map[string]bool{
		"/memfd:pe-ram (deleted)": false, "/memfd:pe-state (deleted)": false,
		m.Input.Name() + " (deleted)": true, m.Output.Name() + " (deleted)": true,
	}
	dir := fmt.Sprintf("/proc/%d/fd", m.PID)
	fds, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		target, err := os.Readlink(filepath.Join(dir, fd.Name()))
		if err != nil || regexp.MustCompile(`^(/dev/null|pipe:.*|socket:.*|anon_inode:.*)$`).MatchString(target) {
			continue
		}
		if strings.HasPrefix(target, filepath.Join(store, "ready")) && filepath.Base(target) == "rootfs.erofs" {
			want[target] = false
		}
		writable, own := want[target]
		if !own {
			t.Errorf("QEMU holds %s", target)
		}
		flags, err := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%s", m.PID, fd.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(target, "/memfd:") {
			continue // sealed: QEMU opens it for writing, and can't write
		}
		if got := !regexp.MustCompile(`(?m)^flags:\s+\d*0$`).Match(flags); got && !writable {
			t.Errorf("QEMU may write to %s: %s", target, flags)
		}
	}
	if len(want) != 5 {
		t.Errorf("QEMU's own are %v", want)
	}
}

// blank fails for a disk on which anything is.
func blank(t *testing.T, disk *os.File) {
	t.Helper()
	info, err := disk.Stat()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, min(info.Size(), 1<<20))
	if _, err := io.ReadFull(io.NewSectionReader(disk, 0, info.Size()), b); err != nil {
		t.Fatal(err)
	}
	if strings.Trim(string(b), "\x00") != "" || blocks(info) != 0 {
		t.Errorf("%s holds %d blocks: %.80q", disk.Name(), blocks(info), b)
	}
}
