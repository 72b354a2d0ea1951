//go:build linux

package oci

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/schemas"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// shell is a job that runs a line.
func shell(line string) guestproto.Job {
	return guestproto.Job{
		Argv: []string{"sh", "-c", line}, Env: []string{"PATH=/usr/bin:/bin"}, Cwd: "/work",
		Limits: guestproto.Limits{WallMS: 60_000, Memory: 64 << 20, PIDs: 64, Scratch: 64 << 20, Output: 1 << 20, Log: 1 << 20},
		Input:  guestproto.Input{Via: guestproto.ViaNone}, Output: guestproto.Output{Via: guestproto.ViaNone}, Stdin: guestproto.Stdin{Via: guestproto.ViaNone},
	}
}

// shapeOf is what jobs with default limits need.
func shapeOf(tb testing.TB, image *imagesync.Image) executor.Shape {
	shape := executor.NewShape(image, schemas.JobSpec{}.WithDefaults().Limits)
	shape.Name, shape.Tenant = "job-"+unique(), "t"
	return shape
}

// ran is what a job left.
type ran struct {
	executor.Ended
	stdout, stderr string
	stages         []string
	files          map[string]string
}

// runJob takes a job through a machine of the runner's.
func runJob(tb testing.TB, r *Runner, shape executor.Shape, job guestproto.Job) ran {
	tb.Helper()
	m, err := r.Start(tb.Context(), shape)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() {
		if err := m.Close(); err != nil {
			tb.Error(err)
		}
	}()
	got := ran{}
	got.Ended, err = m.Run(tb.Context(), executor.Work{
		Job:    job,
		Stdout: func(p []byte) { got.stdout += string(p) },
		Stderr: func(p []byte) { got.stderr += string(p) },
		Stage:  func(name string) { got.stages = append(got.stages, name) },
	})
	if err != nil {
		tb.Fatal(err)
	}
	got.files = untar(tb, got.Outputs)
	return got
}

func untar(tb testing.TB, r io.Reader) map[string]string {
	tb.Helper()
	files := map[string]string{}
	if r == nil {
		return files
	}
	for in := tar.NewReader(r); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			tb.Fatal(err)
		}
		var content bytes.Buffer
		if _, err := io.Copy(&content, in); err != nil {
			tb.Fatal(err)
		}
		files[strings.TrimPrefix(h.Name, "./")] = content.String()
	}
}

// workOf is a job of which nobody listens to what it says.
func workOf(job guestproto.Job) executor.Work {
	return executor.Work{Job: job, Stdout: func([]byte) {}, Stderr: func([]byte) {}, Stage: func(string) {}}
}
