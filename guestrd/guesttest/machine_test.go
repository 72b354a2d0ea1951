package guesttest

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/program-explorer/pe/executor/qemu"
	"github.com/program-explorer/pe/executor/session"
	"github.com/program-explorer/pe/schemas/guestproto"
)

func TestIdentity(t *testing.T) {
	m := mounted(t)
	first := ""
	for range 2 { // as after each restore
		id := m.identify(t)
		_, got := m.run(t, session.Request{Job: shell("hostname; cat /etc/machine-id; date +%s%N | cut -c1-13; head -c 16 /dev/urandom | md5sum; cat /proc/sys/kernel/random/uuid")})
		lines := strings.Fields(got)
		if lines[0] != id.Hostname || lines[1] != id.MachineID {
			t.Errorf("names %q, want %+v", lines[:2], id)
		}
		if strings.Join(lines[3:], " ") == first {
			t.Errorf("random numbers %q again", first)
		}
		first = strings.Join(lines[3:], " ")
	}
	if m.ready.Kernel == "" || m.ready.CPUModel == "unknown" || len(m.ready.Enforces) != 7 {
		t.Errorf("ready %+v", m.ready)
	}
}

// disk makes a file for a machine to write to.
func disk(t *testing.T, name string, size int64) (qemu.Disk, *os.File) {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	return qemu.Disk{Name: name, File: f}, f
}

func TestDisksComeBackBitForBit(t *testing.T) {
	const size = 64 << 20
	in, inFile := disk(t, "in", size+1<<20)
	out, outFile := disk(t, "out", size+2<<20)
	content := make([]byte, size)
	random := rand.NewChaCha8([32]byte{7})
	random.Read(content)
	w := tar.NewWriter(inFile)
	if err := w.WriteHeader(&tar.Header{Name: "big", Typeflag: tar.TypeReg, Mode: 0o600, Size: size}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	written, err := inFile.Seek(0, io.SeekCurrent)
	if err != nil {
		t.Fatal(err)
	}
	m := mounted(t, in, out)
	job := shell("mv big /output/back")
	job.Limits.Scratch = 256 << 20
	job.Input = guestproto.Input{Via: guestproto.ViaDisk, Serial: "in", Size: written}
	job.Output = guestproto.Output{Via: guestproto.ViaDisk, Serial: "out"}
	got, _ := m.run(t, session.Request{Job: job})
	t.Logf("64 MiB: unpacked in %d µs, packed in %d µs", got.GuestStaged.UnpackUS, got.Collected.PackUS)
	archive := tar.NewReader(io.NewSectionReader(outFile, 0, got.Collected.Bytes))
	h, err := archive.Next()
	if err != nil || h.Name != "back" {
		t.Fatalf("%+v, %v", h, err)
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, archive); err != nil {
		t.Fatal(err)
	}
	if want := sha256.Sum256(content); !bytes.Equal(hash.Sum(nil), want[:]) {
		t.Error("the file came back changed")
	}
}

func TestOutputDiskTooSmall(t *testing.T) {
	out, _ := disk(t, "out", 1<<20)
	m := mounted(t, out)
	job := shell("dd if=/dev/zero of=/output/f bs=1M count=3 2>/dev/null")
	job.Output = guestproto.Output{Via: guestproto.ViaDisk, Serial: "out"}
	if got, _ := m.run(t, session.Request{Job: job}); got.Collected.Limit != guestproto.LimitOutput {
		t.Errorf("collected %+v", got.Collected)
	}
}

func TestFrozenLayerStays(t *testing.T) {
	m := mounted(t)
	m.run(t, session.Request{Job: shell("mkdir /opt; echo installed > /opt/tool; rm /bin/ls; echo x > /output/warm")})
	if _, err := m.Freeze(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 { // and what a later run does to it does not
		_, got := m.run(t, session.Request{Job: shell("cat /opt/tool; test -e /bin/ls || echo removed; find /output -type f; stat -c %u /opt; echo gone > /opt/tool; rm -r /work; stat -c %u:%a /")})
		if got != "installed\nremoved\n0\n0:755" {
			t.Errorf("%q", got)
		}
	}
}

func TestHostKills(t *testing.T) {
	m := mounted(t)
	begun := make(chan struct{})
	go func() {
		<-begun
		m.Kill("cancelled by its owner", "")
	}()
	out, err := m.Run(t.Context(), session.Request{Job: shell("echo x; sleep 1000 & sleep 1000"), Stdout: func([]byte) { close(begun) }})
	if err != nil || !out.Exit.Killed || out.Exit.Signal != 9 || out.Exit.Message != "cancelled by its owner" || out.Exit.Limit != "" {
		t.Errorf("%+v, %v", out.Exit, err)
	}
	if d := out.ExitAt.Sub(out.StartedAt); d > 10*time.Second {
		t.Errorf("took %s", d)
	}
	go0 := make(chan struct{})
	staged := func(time.Time) { m.Kill("changed its mind", "") }
	out, err = m.Run(t.Context(), session.Request{Job: shell("true"), Go: go0, Staged: staged})
	if err != nil || !out.Exit.Killed || !out.StartedAt.IsZero() {
		t.Errorf("%+v, %v", out, err)
	}
	m.run(t, session.Request{Job: shell("true")}) // the machine is well
}

func TestGuestDies(t *testing.T) {
	m := mounted(t)
	_, err := m.Run(t.Context(), session.Request{Job: shell("sleep 1000"), Started: func(time.Time) { m.qemu.Kill() }})
	var guest *session.GuestError
	if !errors.As(err, &guest) || guest.Kind != session.Died {
		t.Errorf("error %v", err)
	}
}

func TestManyOutputs(t *testing.T) {
	out, file := disk(t, "out", 256<<20)
	m := mounted(t, out)
	job := shell("mkdir /output/d; cd /output/d; seq 1 20000 | xargs touch")
	job.Output = guestproto.Output{Via: guestproto.ViaDisk, Serial: "out"}
	got, _ := m.run(t, session.Request{Job: job})
	files := 0
	archive := tar.NewReader(io.NewSectionReader(file, 0, got.Collected.Bytes))
	for {
		if _, err := archive.Next(); err != nil {
			break
		}
		files++
	}
	t.Logf("packed in %d µs", got.Collected.PackUS)
	if files != 20001 || got.Collected.Entries != 20001 {
		t.Errorf("%d entries, %+v", files, got.Collected)
	}
}

// TestFigures prints what the guest costs; -v shows it.
func TestFigures(t *testing.T) {
	m := mounted(t)
	t.Logf("boot to ready %s (kernel and init %s)", m.boot.Round(time.Millisecond), time.Duration(m.ready.BootUS)*time.Microsecond)
	for i := range 6 {
		job := shell("true")
		job.Argv = []string{"/bin/true"}
		job.Output.Via = guestproto.ViaChannel
		out, _ := m.run(t, session.Request{Job: job})
		t.Logf("true %d: staged %s, started %s, exited %s, collected %s; guest: prepare %d µs, wall %d µs, reap %d µs, pack %d µs", i,
			out.StagedAt.Sub(out.SentAt), out.StartedAt.Sub(out.StagedAt), out.ExitAt.Sub(out.StartedAt), out.CollectedAt.Sub(out.ExitAt),
			out.GuestStaged.PrepareUS, out.Exit.WallUS, out.Exit.ReapUS, out.Collected.PackUS)
	}
	const size = 32 << 20
	job := shell("dd if=/dev/zero of=/output/f bs=1M count=32 2>/dev/null")
	job.Input.Via, job.Output.Via = guestproto.ViaChannel, guestproto.ViaChannel
	var tarred bytes.Buffer
	w := tar.NewWriter(&tarred)
	if err := w.WriteHeader(&tar.Header{Name: "in", Typeflag: tar.TypeReg, Mode: 0o600, Size: size}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	out, _ := m.run(t, session.Request{Job: job, Input: &tarred, Output: io.Discard})
	rate := func(d time.Duration) string { return fmt.Sprintf("%.0f MB/s", size/d.Seconds()/1e6) }
	t.Logf("channel: in %s, out %s", rate(out.StagedAt.Sub(out.SentAt)), rate(out.CollectedAt.Sub(out.ExitAt)))
	log := shell("dd if=/dev/zero bs=1M count=16 2>/dev/null")
	log.Limits.Log = 16 << 20
	out, _ = m.run(t, session.Request{Job: log})
	t.Logf("stdout: %.0f MB/s", float64(out.StdoutBytes)/out.ExitAt.Sub(out.StartedAt).Seconds()/1e6)
	begin := time.Now()
	flood := shell("dd if=/dev/zero bs=1M count=1024 2>/dev/null")
	m.run(t, session.Request{Job: flood})
	t.Logf("a gigabyte of stdout with a log of 1 MiB: %s", time.Since(begin).Round(time.Millisecond))
}
