// Package guestsuite is the table of jobs that every kind of runner has to run alike: what a
// job sees, what it may do, how it ends, and which limit stopped it.
//
// A runner is to be trusted because it passes this suite; its tests call Run with a function
// that gives a session with a fresh machine on a busybox image. The package must not know what
// kind of machine that is.
package guestsuite

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/program-explorer/pe/executor/session"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// Runner is a machine with its image mounted. *session.Session is one.
type Runner interface {
	Run(context.Context, session.Request) (session.Outcome, error)
	Kill(reason, limit string)
}

// Open gives a fresh machine, which it closes when t ends.
type Open func(t *testing.T) Runner

// Case is one job and what must come of it.
type Case struct {
	Name string
	// Sh is run by /bin/sh -c. Job may change everything else.
	Sh  string
	Job func(*guestproto.Job)
	// Files become the inputs: path → content.
	Files map[string]string
	// Input replaces Files by an archive of one's own.
	Input []byte
	// Stdin goes over the channel.
	Stdin string
	// Want is the exit, by its fields Code, Signal, Limit and NotStarted; LimitsHit must be among those that were hit.
	Want guestproto.Exit
	// Stdout, if set, is all of it. Contains is part of stdout, Says of stderr or of the exit's message.
	Stdout, Contains, Says string
	// Check looks at the rest.
	Check func(t *testing.T, r Result)
	// Alone gives it a machine of its own.
	Alone bool
}

// Result is what a case's job left.
type Result struct {
	session.Outcome
	Stdout, Stderr string
	// Tar is the output archive.
	Tar []byte
}

// Files returns the headers of the output archive by name.
func (r Result) Files(t *testing.T) map[string]*tar.Header {
	t.Helper()
	files := map[string]*tar.Header{}
	if len(r.Tar) == 0 {
		return files
	}
	archive := tar.NewReader(bytes.NewReader(r.Tar))
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatalf("read outputs: %v", err)
		}
		files[h.Name] = h
	}
}

// Run runs all cases. Those that do not ask for a machine of their own share one, run after
// run: that is what warm-ups do, and nothing of a run may reach the next.
func Run(t *testing.T, open Open) { RunCases(t, open, All()) }

// RunCases runs a part of the table in the same way.
func RunCases(t *testing.T, open Open, cases []Case) {
	var shared Runner
	for _, c := range cases {
		ok := t.Run(c.Name, func(st *testing.T) {
			m := shared
			if c.Alone {
				m = open(st)
			} else if m == nil {
				m = open(t)
				shared = m
			}
			c.run(st, m)
		})
		if !ok && !c.Alone {
			shared = nil // the machine may be broken: its failure must not be the next case's
		}
	}
}

// All is the whole table.
func All() []Case {
	var all []Case
	for _, part := range [][]Case{endings(), Surroundings(), Isolation(), inputs(), outputs(), limits()} {
		all = append(all, part...)
	}
	return all
}

// runTimeout bounds a case's run: a hang must name its case.
const runTimeout = 2 * time.Minute

func (c Case) run(t *testing.T, m Runner) {
	job := &guestproto.Job{
		Argv:   []string{"/bin/sh", "-c", c.Sh},
		Env:    []string{"PATH=/usr/bin:/bin"},
		Cwd:    "/work",
		Limits: guestproto.Limits{WallMS: 60_000, Memory: 128 << 20, PIDs: 128, Scratch: 64 << 20, Output: 32 << 20, Log: 1 << 20},
		Input:  guestproto.Input{Via: guestproto.ViaNone},
		Output: guestproto.Output{Via: guestproto.ViaChannel},
		Stdin:  guestproto.Stdin{Via: guestproto.ViaNone},
	}
	var input []byte
	if input = c.Input; c.Files != nil {
		input = archiveOf(t, c.Files)
	}
	if input != nil {
		job.Input.Via = guestproto.ViaChannel
	}
	if c.Stdin != "" {
		job.Stdin.Via = guestproto.ViaChannel
	}
	if c.Job != nil {
		c.Job(job)
	}
	ctx, cancel := context.WithTimeout(t.Context(), runTimeout)
	defer cancel()
	var stdout, stderr, output bytes.Buffer
	out, err := m.Run(ctx, session.Request{
		Job: job, Input: bytes.NewReader(input), Stdin: strings.NewReader(c.Stdin), Output: &output,
		Stdout: func(p []byte) { stdout.Write(p) }, Stderr: func(p []byte) { stderr.Write(p) },
	})
	if err != nil {
		t.Fatalf("run: %v", err)
	}
	c.check(t, Result{out, stdout.String(), stderr.String(), output.Bytes()})
}

func (c Case) check(t *testing.T, r Result) {
	e, want := r.Exit, c.Want
	if e.Code != want.Code || e.Signal != want.Signal || e.Limit != want.Limit || e.NotStarted != want.NotStarted {
		t.Errorf("exit %+v\nwant %+v\nstdout %.500q\nstderr %.500q", e, want, r.Stdout, r.Stderr)
	}
	for _, limit := range want.LimitsHit {
		if !strings.Contains(strings.Join(e.LimitsHit, " "), limit) {
			t.Errorf("limits hit: %q, %q is not among them", e.LimitsHit, limit)
		}
	}
	if len(want.LimitsHit) == 0 && len(e.LimitsHit) != 0 {
		t.Errorf("limits hit: %q, none expected", e.LimitsHit)
	}
	if c.Stdout != "" && r.Stdout != c.Stdout {
		t.Errorf("stdout %.2000q, want %q; stderr %.500q", r.Stdout, c.Stdout, r.Stderr)
	}
	if !strings.Contains(r.Stdout, c.Contains) {
		t.Errorf("stdout %.2000q, want %q in it; stderr %.500q", r.Stdout, c.Contains, r.Stderr)
	}
	if !strings.Contains(r.Stderr+e.Message, c.Says) {
		t.Errorf("stderr %.500q and message %q, want %q in them", r.Stderr, e.Message, c.Says)
	}
	if c.Check != nil && !t.Failed() {
		c.Check(t, r)
	}
}

// archiveOf makes a tar of files.
func archiveOf(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for name, content := range files {
		h := &tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(content)), ModTime: time.Unix(1_600_000_000, 0)}
		if strings.HasSuffix(name, ".sh") {
			h.Mode = 0o755
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// entry makes a tar of one entry that no honest sender would make.
func entry(h tar.Header) []byte {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	h.Mode = 0o644
	if err := w.WriteHeader(&h); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}
