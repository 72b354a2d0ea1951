package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/schemas"
)

type sseEvent struct{ id, kind, data string }

// events reads server-sent events until one of the kind comes.
func events(t *testing.T, r *bufio.Reader, until string) (all []sseEvent) {
	t.Helper()
	var e sseEvent
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("%v after %v", err, all)
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch name {
		case "id":
			e.id = value
		case "event":
			e.kind = value
		case "data":
			e.data = value
		case "":
			if e.kind == "" {
				continue // a comment
			}
			all = append(all, e)
			if e.kind == until {
				return all
			}
			e = sseEvent{}
		}
	}
}

func (h *harness) running(t *testing.T) schemas.Record {
	t.Helper()
	id := h.submit(t, `{"image":"gcc"}`).ID
	r, err := h.jobs.Get(t.Context(), "local", id)
	if err != nil {
		t.Fatal(err)
	}
	r.State, r.Attempts = schemas.StateRunning, []schemas.Attempt{{N: 1, Executor: "box", Nonce: "n", ClaimedUS: 1}}
	h.jobs.set(r)
	return r
}

func chunk(stream string, offset int64, data string) coordinator.Update {
	return coordinator.Update{Stream: stream, Attempt: 1, Chunk: &schemas.LogChunk{Offset: offset, Data: []byte(data)}}
}

func TestFollow(t *testing.T) {
	t.Parallel()
	h := start(t)
	r := h.running(t)
	resp := h.request(t, "GET", "/v1/jobs/"+r.ID+"/logs", "", "Accept", "text/event-stream")
	if resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
	stream := bufio.NewReader(resp.Body)
	if first := events(t, stream, "state"); !strings.Contains(first[0].data, `"state":"running"`) || first[0].id != "1.0.0" {
		t.Errorf("%+v", first)
	}
	h.jobs.tell(r.ID, coordinator.Update{Attempt: 1, Stage: &schemas.Stage{Name: "running", AtUS: 5}})
	h.jobs.tell(r.ID, chunk("stdout", 0, "hello\nworld"))
	h.jobs.tell(r.ID, chunk("stdout", 6, "world"))          // again
	h.jobs.tell(r.ID, chunk("stderr", 0, "\xff\x00binary")) // not text
	got := events(t, stream, "stderr")
	if len(got) != 3 || got[0].kind != "stage" || got[1].data != `{"offset":0,"text":"hello\nworld"}` || got[2].id != "1.11.8" {
		t.Errorf("%+v", got)
	}
	var text schemas.StreamText
	if err := json.Unmarshal([]byte(got[2].data), &text); err != nil {
		t.Fatal(err)
	}
	if data, err := text.Bytes(); err != nil || string(data) != "\xff\x00binary" {
		t.Errorf("%q %v", data, err)
	}
	h.finish(t, r.ID, schemas.Result{Outcome: exitCode(0)})
	last := events(t, stream, "end")
	if len(last) != 2 || last[0].kind != "state" || !strings.Contains(last[1].data, "succeeded") {
		t.Errorf("%+v", last)
	}
	if rest, err := io.ReadAll(stream); err != nil || len(rest) != 0 {
		t.Errorf("after the end: %q %v", rest, err)
	}
}

func TestFollowResumes(t *testing.T) {
	t.Parallel()
	h := start(t)
	r := h.running(t)
	resp := h.request(t, "GET", "/v1/jobs/"+r.ID+"/logs?follow=1", "", "Last-Event-ID", "1.6.0")
	stream := bufio.NewReader(resp.Body)
	events(t, stream, "state")
	h.jobs.tell(r.ID, chunk("stdout", 0, "hello\nworld"))
	if got := events(t, stream, "stdout"); got[0].data != `{"offset":6,"text":"world"}` {
		t.Errorf("%+v", got)
	}
	// Another attempt begins from nothing.
	r.Attempts = append(r.Attempts, schemas.Attempt{N: 2, Executor: "box2", Nonce: "m"})
	h.jobs.set(r)
	h.jobs.tell(r.ID, chunk("stdout", 0, "late")) // of the first
	h.jobs.tell(r.ID, coordinator.Update{Stream: "stdout", Attempt: 2, Chunk: &schemas.LogChunk{Data: []byte("anew")}})
	if got := events(t, stream, "stdout"); len(got) != 2 || got[1].id != "2.4.0" || !strings.Contains(got[1].data, "anew") {
		t.Errorf("%+v", got)
	}
	h.refused(t, kindMalformed, "GET", "/v1/jobs/"+r.ID+"/logs?follow=1", "", "Last-Event-ID", "x")
}

func TestFollowBeatsAndDrains(t *testing.T) {
	t.Parallel()
	h := start(t, func(c *Config) { c.Heartbeat = time.Millisecond })
	r := h.running(t)
	resp := h.request(t, "GET", "/v1/jobs/"+r.ID+"/logs?follow=1", "")
	stream := bufio.NewReader(resp.Body)
	events(t, stream, "state")
	if line, err := stream.ReadString('\n'); err != nil || line != ":\n" {
		t.Errorf("%q %v", line, err)
	}
	h.api.Drain()
	if _, err := io.Copy(io.Discard, stream); err != nil {
		t.Errorf("draining broke the stream: %v", err)
	}
}

// A client that connects and reads nothing must not hold its place for ever.
func TestStuckReaderIsDropped(t *testing.T) {
	t.Parallel()
	h := start(t, func(c *Config) { c.StallTimeout = 50 * time.Millisecond })
	r := h.running(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /v1/jobs/"+r.ID+"/logs?follow=1 HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	for h.jobs.followers(r.ID) == 0 {
		time.Sleep(time.Millisecond)
	}
	piece := strings.Repeat("x", 200<<10)
	for offset := int64(0); ; offset += int64(len(piece)) {
		if !h.jobs.offer(r.ID, chunk("stdout", offset, piece), time.Second) {
			break // nobody reads the updates any more
		}
		if offset > 1<<30 {
			t.Fatal("a reader that reads nothing is still served")
		}
	}
	if strings.Contains(h.logged(), "level=ERROR") {
		t.Error("a stuck client counts as an error of ours")
	}
}

func TestPlainLogs(t *testing.T) {
	t.Parallel()
	h := start(t)
	r := h.running(t)
	at := "/v1/jobs/" + r.ID + "/logs"
	h.jobs.logged["stderr"] = []byte("so far")
	if got := h.text(t, at+"?stream=stderr"); got != "so far" {
		t.Errorf("%q", got)
	}
	h.refused(t, kindMalformed, "GET", at+"?stream=stdin", "")
	if resp := h.request(t, "HEAD", at+"?follow=1", ""); resp.StatusCode != http.StatusOK {
		t.Errorf("HEAD: %d", resp.StatusCode)
	}

	var packed bytes.Buffer
	w, err := zstd.NewWriter(&packed)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("0123456789abcdef", 10_000)
	io.WriteString(w, long)
	w.Close()
	object := h.put(t, r, schemas.ObjectStdout, packed.Bytes())
	h.finish(t, r.ID, schemas.Result{Outcome: exitCode(0),
		Stdout: schemas.Stdio{Text: long[:schemas.StdioHead], Bytes: int64(len(long)), Truncated: true, Log: &object},
		Stderr: schemas.Stdio{Text: "\uFFFD", Base64: "/w==", Bytes: 1},
	})
	if got := h.text(t, at); got != long {
		t.Errorf("%d bytes, want %d", len(got), len(long))
	}
	if got := h.text(t, at+"?stream=stderr"); got != "\xff" {
		t.Errorf("%q", got)
	}
	resp := h.request(t, "GET", at, "")
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain") || !strings.HasPrefix(resp.Header.Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("%v", resp.Header)
	}
	queued := h.submit(t, `{"image":"gcc"}`).ID
	if got := h.text(t, "/v1/jobs/"+queued+"/logs"); got != "" {
		t.Errorf("%q", got)
	}
	if resp := h.request(t, "GET", "/v1/jobs/j0000000000000000000000000/logs", ""); resp.StatusCode != http.StatusNotFound {
		t.Errorf("%d", resp.StatusCode)
	}
}

// endlessJobs' executors always have more.
type endlessJobs struct{ *fakeJobs }

func (endlessJobs) Logs(_ context.Context, _ schemas.Record, _ string, offset int64) (schemas.LogsReply, error) {
	return schemas.LogsReply{Data: make([]byte, schemas.MaxLogChunk), End: offset + 1<<30}, nil
}

func TestLiveLogEnds(t *testing.T) {
	t.Parallel()
	a := &API{Config: Config{Jobs: endlessJobs{}}}
	w := httptest.NewRecorder()
	record := schemas.Record{State: schemas.StateRunning, Attempts: []schemas.Attempt{{N: 1}}}
	if err := a.copyLive(t.Context(), w, record, schemas.LiveStdout); err != nil || w.Body.Len() < schemas.StdioLog || w.Body.Len() >= schemas.StdioLog+schemas.MaxLogChunk {
		t.Errorf("%d bytes, %v", w.Body.Len(), err)
	}
}
