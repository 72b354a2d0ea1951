//go:build linux

package oci

import (
	"archive/tar"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/executor/session"
	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/schemas"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// forKinds runs a test with each way to run.
func forKinds(t *testing.T, test func(t *testing.T, kind string)) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) { test(t, kind) })
	}
}

func TestRunsJobWithInputsAndOutputs(t *testing.T) {
	forKinds(t, func(t *testing.T, kind string) {
		r := newRunner(t, kind, nil)
		shape := shapeOf(t, image(t, "busybox"))
		m, err := r.Start(t.Context(), shape)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		w := tar.NewWriter(m.Input())
		content := strings.Repeat("0123456789abcdef", 1<<16)
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "in", Mode: 0o644, Size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		size, err := m.Input().Seek(0, 1)
		if err != nil {
			t.Fatal(err)
		}
		var stdout string
		var stages []string
		job := shell("cat > /output/from-stdin; cp in /output/back; wc -c < in")
		job.Limits.Output = 8 << 20
		job.Stdin.Via = guestproto.ViaChannel
		ended, err := m.Run(t.Context(), executor.Work{
			Job: job, InputBytes: size, Stdin: strings.NewReader("said"),
			Stdout: func(p []byte) { stdout += string(p) }, Stderr: func(p []byte) { t.Logf("stderr: %s", p) },
			Stage: func(name string) { stages = append(stages, name) },
		})
		if err != nil {
			t.Fatal(err)
		}
		files := untar(t, ended.Outputs)
		if stdout != "1048576\n" || files["back"] != content || files["from-stdin"] != "said" || ended.Exit.Code != 0 {
			t.Errorf("stdout %q, exit %+v, %d files", stdout, ended.Exit, len(files))
		}
		if !slices.Equal(stages, []string{"booted", "prepared", "running", "collected"}) || ended.Start != schemas.StartBooted || len(ended.Spans) != 4 {
			t.Errorf("stages %v, %s, spans %+v", stages, ended.Start, ended.Spans)
		}
		if ended.HostCPU <= 0 || ended.Guest.CPUModel == "" || !strings.HasPrefix(ended.GuestDigest, "sha256:") {
			t.Errorf("%+v", ended)
		}
	})
}

// What a warm-up writes is there for every job, and only that: what a job writes over it is not.
func TestWarmupThenPool(t *testing.T) {
	forKinds(t, func(t *testing.T, kind string) {
		r := newRunner(t, kind, func(c *Config) { c.PoolBytes = 512 << 20 })
		img := image(t, "busybox")
		img.Warmup = []imagesync.Warmup{
			{Argv: []string{"sh", "-c", "echo one >> /etc/installed; rm /bin/ls; mkdir /opt; ln -s x /opt/l; echo gone > /output/x; chmod 705 /opt"}, Timeout: time.Minute},
			{Argv: []string{"sh", "-c", "echo two >> /etc/installed; ln /etc/installed /opt/hard; rm -r /opt/l; rm -r /root; mkdir /root"}, Timeout: time.Minute},
		}
		shape := shapeOf(t, img)
		job := shell("cat /etc/installed; test -e /bin/ls || echo removed; stat -c %u:%g:%a /opt; stat -c %h /opt/hard; find /opt /root /output | sort; stat -c %u:%g / /root; echo three >> /etc/installed; echo out > /output/file; hostname")
		want := "one\ntwo\nremoved\n0:0:705\n2\n/opt\n/opt/hard\n/output\n/root\n0:0\n0:0\n"
		first := runJob(t, r, shape, job)
		if !strings.HasPrefix(first.stdout, want) || first.files["file"] != "out\n" || first.Start != schemas.StartBooted {
			t.Fatalf("%s, stdout %q, stderr %q, want %q", first.Start, first.stdout, first.stderr, want)
		}
		deadline := time.Now().Add(time.Minute)
		var got ran
		for got.Start != schemas.StartPooled {
			if time.Now().After(deadline) {
				t.Fatal("no machine ever waits")
			}
			shape.Name = "job-" + unique()
			got = runJob(t, r, shape, job)
			if !strings.HasPrefix(got.stdout, want) {
				t.Fatalf("%s, stdout %q, want %q", got.Start, got.stdout, want)
			}
		}
		if got.stdout == first.stdout || slices.Contains(got.stages, schemas.SpanBooted) {
			t.Errorf("stages %v, stdout %q", got.stages, got.stdout)
		}
	})
}

func TestFailingWarmupIsTold(t *testing.T) {
	forKinds(t, func(t *testing.T, kind string) {
		r := newRunner(t, kind, nil)
		img := image(t, "busybox")
		img.Warmup = []imagesync.Warmup{{Argv: []string{"sh", "-c", "echo cannot >&2; exit 3"}, Timeout: time.Minute}}
		for range 2 { // the second is told at once
			m, err := r.Start(t.Context(), shapeOf(t, img))
			if err != nil {
				t.Fatal(err)
			}
			_, err = m.Run(t.Context(), executor.Work{Job: shell("true"), Stage: func(string) {}})
			var warmup *executor.WarmupError
			if !errors.As(err, &warmup) || !strings.Contains(warmup.Reason, "exit code 3") || !strings.Contains(warmup.Reason, "cannot") {
				t.Errorf("error %v", err)
			}
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestContainersOnlyForAllowedImages(t *testing.T) {
	r := newRunner(t, schemas.IsolationContainer, func(c *Config) { c.Allow = []string{"sha256:" + strings.Repeat("0", 64)} })
	_, err := r.Start(t.Context(), shapeOf(t, image(t, "busybox")))
	var not *NotAllowedError
	if !errors.As(err, &not) {
		t.Errorf("error %v", err)
	}
	digest := image(t, "busybox").Digest
	r = newRunner(t, schemas.IsolationContainer, func(c *Config) { c.Allow = []string{digest} })
	if got := runJob(t, r, shapeOf(t, image(t, "busybox")), shell("echo ok")); got.stdout != "ok\n" {
		t.Errorf("%+v", got)
	}
	c := Config{Kind: schemas.IsolationContainer, Runtime: "runc", Guest: guestrd(), RunDir: folder(t), LayerDir: folder(t)}
	if _, err := New(c); err == nil {
		t.Error("a runner of containers without a list")
	}
}

func TestHostKills(t *testing.T) {
	forKinds(t, func(t *testing.T, kind string) {
		r := newRunner(t, kind, nil)
		g := boot(t, r, image(t, "busybox"))
		begun := make(chan struct{})
		go func() {
			<-begun
			g.Kill("cancelled by its owner", "")
		}()
		job := shell("echo x; sleep 1000 & sleep 1000")
		out, err := g.Run(t.Context(), session.Request{Job: &job, Stdout: func([]byte) { close(begun) }})
		if err != nil || !out.Exit.Killed || out.Exit.Signal != 9 || out.Exit.Message != "cancelled by its owner" || out.Exit.Limit != "" {
			t.Errorf("%+v, %v", out.Exit, err)
		}
		// Before its start, while it waits for inputs that never come.
		g = boot(t, r, image(t, "busybox"))
		job = shell("true")
		job.Input.Via = guestproto.ViaChannel
		time.AfterFunc(200*time.Millisecond, func() { g.Kill("changed its mind", "") })
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		out, err = g.Run(ctx, session.Request{Job: &job, Input: never{ctx}})
		if err != nil || !out.Exit.Killed || !out.StartedAt.IsZero() {
			t.Errorf("%+v, %v", out, err)
		}
	})
}

// never is a reader of which nothing comes.
type never struct{ ctx context.Context }

func (n never) Read([]byte) (int, error) {
	<-n.ctx.Done()
	return 0, n.ctx.Err()
}

// A machine that dies by itself is the platform's failure.
func TestMachineDies(t *testing.T) {
	forKinds(t, func(t *testing.T, kind string) {
		r := newRunner(t, kind, nil)
		g := boot(t, r, image(t, "busybox"))
		job := shell("sleep 1000")
		_, err := g.Run(t.Context(), session.Request{Job: &job, Started: func(time.Time) { go g.machine.Kill() }})
		var guest *session.GuestError
		if !errors.As(err, &guest) || guest.Kind != session.Died {
			t.Errorf("error %v", err)
		}
		select {
		case <-g.machine.Done():
		case <-time.After(10 * time.Second):
			t.Error("nobody noticed its death")
		}
	})
}
