package api

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/schemas"
)

// damages are what may happen to an object; nil is nothing left of it.
var damages = map[string]func([]byte) []byte{
	"deleted":   func([]byte) []byte { return nil },
	"truncated": func(data []byte) []byte { return data[:len(data)/2] },
	"replaced":  func(data []byte) []byte { return bytes.Repeat([]byte("x"), len(data)) },
}

// withEverything is an ended job that has every kind of object.
func withEverything(t *testing.T) (*harness, schemas.Record) {
	t.Helper()
	h := start(t)
	r := h.running(t)
	var packed bytes.Buffer
	w, err := zstd.NewWriter(&packed)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("0123456789abcdef", 10_000)
	io.WriteString(w, long)
	w.Close()
	log := h.put(t, r, schemas.ObjectStdout, packed.Bytes())
	h.finish(t, r.ID, schemas.Result{Outcome: exitCode(0),
		Stdout: schemas.Stdio{Text: long[:schemas.StdioHead], Bytes: int64(len(long)), Truncated: true, Log: &log},
		Stderr: schemas.Stdio{Text: "warning", Bytes: 7},
	}, output{name: "a.txt", content: "hello"})
	if r, err = h.jobs.Get(t.Context(), r.Tenant, r.ID); err != nil {
		t.Fatal(err)
	}
	return h, r
}

func (h *harness) damage(t *testing.T, key string, damage func([]byte) []byte) {
	t.Helper()
	body, _, err := h.store.Get(t.Context(), key, objstore.Range{})
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(body)
	if err = errors.Join(err, body.Close(), h.store.Delete(t.Context(), key)); err != nil {
		t.Fatal(err)
	}
	if data = damage(data); data == nil {
		return
	}
	if _, err := h.store.Put(t.Context(), key, bytes.NewReader(data), objstore.PutOptions{Size: int64(len(data))}); err != nil {
		t.Fatal(err)
	}
}

// TestLostObjects: what the store has lost is said to be lost, wherever it is
// asked for; it is no empty answer, and it has not expired.
func TestLostObjects(t *testing.T) {
	t.Parallel()
	for name, refuses := range map[string][]string{
		"spec.json":           nil,
		schemas.ObjectResult:  {"/logs", "/logs?stream=stderr", "/outputs", "/outputs/a.txt"},
		schemas.ObjectStdout:  {"/logs"},
		schemas.ObjectIndex:   {"/outputs", "/outputs/a.txt"},
		schemas.ObjectArchive: {"/outputs", "/outputs/a.txt"},
	} {
		for how, damage := range damages {
			t.Run(name+"/"+how, func(t *testing.T) {
				t.Parallel()
				h, r := withEverything(t)
				key := r.ResultKey(name)
				if name == "spec.json" {
					key = r.SpecKey()
				}
				h.damage(t, key, damage)
				at := "/v1/jobs/" + r.ID
				for _, path := range []string{"/logs", "/logs?stream=stderr", "/outputs", "/outputs/a.txt"} {
					if slices.Contains(refuses, path) {
						h.refused(t, kindLost, "GET", at+path, "")
					} else {
						h.text(t, at+path)
					}
				}
				h.toldInTheJob(t, at, name)
			})
		}
	}
}

// toldInTheJob checks that the job's document names a lost specification or result, and else has both.
func (h *harness) toldInTheJob(t *testing.T, at, name string) {
	t.Helper()
	var want []string
	switch name {
	case "spec.json":
		want = []string{schemas.LostSpec}
	case schemas.ObjectResult:
		want = []string{schemas.LostResult}
	}
	job := ask[schemas.Job](t, h, http.StatusOK, "GET", at, "")
	if !slices.Equal(job.Lost, want) || job.State != schemas.StateSucceeded || job.Outcome == nil {
		t.Errorf("job = %+v, want lost %v", job, want)
	}
	if (job.Spec == nil) != slices.Contains(want, schemas.LostSpec) || (job.Result == nil) != slices.Contains(want, schemas.LostResult) {
		t.Errorf("lost %v, spec %v, result %v", job.Lost, job.Spec, job.Result)
	}
	if want != nil && !strings.Contains(h.logged(), "lost by the object store") {
		t.Error("whoever runs the gateway is not told")
	}
}

// TestLostPart: a range of a lost file is as lost.
func TestLostPart(t *testing.T) {
	t.Parallel()
	h, r := withEverything(t)
	h.damage(t, r.ResultKey(schemas.ObjectArchive), damages["truncated"])
	h.refused(t, kindLost, "GET", "/v1/jobs/"+r.ID+"/outputs/a.txt", "", "Range", "bytes=1-2")
	if resp := h.request(t, "HEAD", "/v1/jobs/"+r.ID+"/outputs/a.txt", ""); resp.StatusCode != http.StatusOK || resp.ContentLength != 5 {
		t.Errorf("HEAD: %d, %d bytes", resp.StatusCode, resp.ContentLength)
	}
}

// TestLostIsToldAtTheEnd of the events of a job.
func TestLostIsToldAtTheEnd(t *testing.T) {
	t.Parallel()
	for _, lost := range []bool{false, true} {
		h, r := withEverything(t)
		h.jobs.lost = lost
		resp := h.request(t, "GET", "/v1/jobs/"+r.ID+"/logs?follow=1", "")
		all := events(t, bufio.NewReader(resp.Body), "end")
		if last := all[len(all)-1].data; strings.Contains(last, `"output_lost":true`) != lost {
			t.Errorf("lost %v: %s", lost, last)
		}
	}
}

// TestStreamWithoutAnEnd: the store did not answer, so the client has to come again.
func TestStreamWithoutAnEnd(t *testing.T) {
	t.Parallel()
	h, r := withEverything(t)
	h.jobs.cut = true
	resp := h.request(t, "GET", "/v1/jobs/"+r.ID+"/logs?follow=1", "")
	if all, err := io.ReadAll(resp.Body); err == nil || strings.Contains(string(all), "event: end") {
		t.Errorf("%s: %v", all, err)
	}
}
