package guesttest

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/program-explorer/pe/executor/session"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// files is a tar of a folder, two files and a link, for the root of the image.
func files(t *testing.T) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range []*tar.Header{
		{Name: "opt/", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: "opt/tool", Typeflag: tar.TypeReg, Mode: 0o755, Uid: 4321},
		{Name: "etc/tool.conf", Typeflag: tar.TypeReg, Mode: 0o600},
		{Name: "usr/local/bin/t", Typeflag: tar.TypeSymlink, Linkname: "../../../opt/tool"},
	} {
		content := ""
		if h.Typeflag == tar.TypeReg {
			content = "#!/bin/sh\necho tool $1\n"
		}
		h.Size = int64(len(content))
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

func (m *machine) freeze(t *testing.T) {
	t.Helper()
	if size, err := m.Freeze(t.Context()); err != nil || size == 0 {
		t.Fatalf("freeze: %d bytes, %v", size, err)
	}
}

// Warm-ups come with files for anywhere in the image; each sees what those before it wrote, and the job all of it.
func TestWarmups(t *testing.T) {
	m := mounted(t)
	first := shell("/usr/local/bin/t 1 > /opt/said; echo draft > /opt/draft")
	first.Input = guestproto.Input{Via: guestproto.ViaChannel, Root: true}
	m.run(t, session.Request{Job: first, Input: files(t)})
	m.freeze(t)
	m.run(t, session.Request{Job: shell("/opt/tool 2 >> /opt/said; rm /opt/draft; ln /etc/tool.conf /etc/same")})
	m.freeze(t)
	m.run(t, session.Request{Job: shell("/opt/tool 3 >> /opt/said; mkdir /opt/draft; chmod 700 /opt/draft")})
	m.freeze(t)
	user := shell("/opt/tool 4 > said") // in a folder that is made for it
	user.User, user.Cwd = "1000:1000", "/home/u"
	m.run(t, session.Request{Job: user})
	m.freeze(t)
	job := shell("cat /opt/said /home/u/said; cd /; stat -c '%u:%g %a %n' opt opt/* home/u home/u/* etc/tool.conf etc/same; cat /etc/tool.conf")
	job.User = "1000:1000"
	var stdout bytes.Buffer
	out, err := m.Run(t.Context(), session.Request{Job: job, Stdout: func(p []byte) { stdout.Write(p) }})
	got := strings.Join(strings.Fields(stdout.String()), " ")
	const seen = "tool 1 tool 2 tool 3 tool 4 0:0 755 opt 0:0 700 opt/draft 0:0 644 opt/said 0:0 755 opt/tool " +
		"1000:1000 755 home/u 1000:1000 644 home/u/said 0:0 600 etc/tool.conf 0:0 600 etc/same"
	if err != nil || got != seen || out.Exit.Code == 0 {
		t.Errorf("%+v, %v:\n%s\nwant\n%s", out.Exit, err, got, seen)
	}
}

// TestFreezeOften freezes as many layers as there can be, and one more.
func TestFreezeOften(t *testing.T) {
	m := mounted(t)
	for i := range guestproto.MaxFrozen {
		m.run(t, session.Request{Job: shell(fmt.Sprintf("test %d = 0 || cat /opt/%d; mkdir -p /opt; echo %d > /opt/%d", i, i-1, i, i))})
		m.freeze(t)
	}
	if _, got := m.run(t, session.Request{Job: shell("ls /opt | wc -l")}); got != fmt.Sprint(guestproto.MaxFrozen) {
		t.Errorf("%s files", got)
	}
	_, err := m.Freeze(t.Context())
	var guest *session.GuestError
	if !errors.As(err, &guest) || guest.Kind != session.Faulted || !strings.Contains(err.Error(), fmt.Sprint(guestproto.MaxFrozen, " layers")) {
		t.Errorf("one more: %v", err)
	}
}

// leftovers shows everything by which one run could tell that there was another.
const leftovers = `find /tmp /dev/shm /var /work /output /root /opt -type f; ls /bin/sh; ls /proc | grep -c ^[0-9]; tail -n +2 /proc/sysvipc/shm | wc -l; hostname; cat /bin/mark 2>/dev/null; true`

// What a pooled machine's own warm-up leaves behind is not there for the job, and what was frozen is.
func TestWarmupLeavesNothing(t *testing.T) {
	m := mounted(t)
	m.run(t, session.Request{Job: shell("mkdir -p /opt; echo frozen > /opt/frozen")})
	m.freeze(t)
	id := m.identify(t)
	dirty := "for d in /tmp /dev/shm /var /work /output /root /opt; do mkdir -p $d; echo x > $d/left; done; echo x > /bin/mark;" +
		"setsid sleep 1000 & sleep 999 & syslogd -C16 -O /dev/null; rm /opt/frozen; sleep 0.5;" + leftovers
	_, was := m.run(t, session.Request{Job: shell(dirty)})
	before := strings.Fields(was)
	if len(before) != 12 || before[9] != "1" {
		t.Fatalf("the warm-up sees %q: this shows nothing", was)
	}
	m.identify(t)
	_, is := m.run(t, session.Request{Job: shell(leftovers)})
	if strings.Contains(is, id.Hostname) {
		t.Errorf("the job has the warm-up's name: %q", is)
	}
	after := strings.Fields(is)
	if len(after) != 5 || after[0] != "/opt/frozen" || after[3] != "0" {
		t.Fatalf("the job sees %q", is)
	}
	warm, err1 := strconv.Atoi(before[8])
	job, err2 := strconv.Atoi(after[2])
	if err1 != nil || err2 != nil || warm < job+3 {
		t.Errorf("the warm-up saw %q processes, at least 3 of its own, and the job sees %q", before[8], after[2])
	}
}

// A rehearsal needs no program of the image, and is a run like any other.
func TestRehearsal(t *testing.T) {
	out, _ := disk(t, "out", 1<<20)
	m := mounted(t, out)
	m.run(t, session.Request{Job: shell("rm -r /bin /usr /sbin /lib* 2>/dev/null; true")})
	m.freeze(t)
	job := shell("")
	job.Argv, job.Rehearse, job.User = nil, true, "1000:1000"
	job.Limits.Memory, job.Limits.PIDs, job.Limits.CPUsMilli = 64<<20, 16, 1000
	job.Output = guestproto.Output{Via: guestproto.ViaDisk, Serial: "out"}
	job.Input = guestproto.Input{Via: guestproto.ViaChannel}
	got, said := m.run(t, session.Request{Job: job, Input: files(t)})
	if said != "" || got.GuestStaged.Entries != 4 || got.Exit.WallUS == 0 || got.Exit.Rusage.MaxRSS == 0 || got.StartedAt.IsZero() {
		t.Errorf("said %q, %+v", said, got)
	}
	after, err := m.Run(t.Context(), session.Request{Job: shell("true")})
	if err != nil || after.Exit.Code != guestproto.CodeNotFound {
		t.Errorf("a job afterwards: %+v, %v", after.Exit, err)
	}
}
