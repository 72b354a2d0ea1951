package api

import (
	"bufio"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/schemas"
)

func TestJobEvents(t *testing.T) {
	t.Parallel()
	h := start(t)
	resp := h.request(t, "GET", "/v1/events?label=campaign%3Dnightly&state=queued,failed&state=queued&output=1", "")
	h.matchesDocument(t, "GET", "/v1/events", resp, nil)
	stream := bufio.NewReader(resp.Body)
	if begin := events(t, stream, "begin"); len(begin) != 1 || begin[0].id != "7" || begin[0].data != `{"outputs":16}` {
		t.Errorf("%+v", begin)
	}
	want := coordinator.EventQuery{Now: true, Outputs: true, Filter: coordinator.Filter{
		Labels: map[string]string{"campaign": "nightly"}, States: []schemas.State{schemas.StateFailed, schemas.StateQueued},
	}}
	if !reflect.DeepEqual(h.jobs.asked, want) {
		t.Errorf("asked for %+v, want %+v", h.jobs.asked, want)
	}
	for _, u := range []coordinator.JobUpdate{
		{Revision: 9, Job: &schemas.JobChange{Job: "j1", State: schemas.StateQueued, Created: 5}},
		{Stream: "stderr", Text: &schemas.JobText{Job: "j2", Attempt: 1, StreamText: schemas.NewStreamText(3, []byte("a\nb"))}},
		{Lost: &schemas.JobOutputLost{Job: "j2", Attempt: 1}},
		{Revision: 12},
		{Revision: 15, Job: &schemas.JobChange{Job: "j1", State: schemas.StateFailed, Attempt: 1, Created: 5, Ended: 6}},
	} {
		h.jobs.events <- u
	}
	got := events(t, stream, "job")
	got = append(got, events(t, stream, "job")...)
	if want := []sseEvent{
		{"9", "job", `{"job":"j1","state":"queued","created_us":5}`},
		{"9", "stderr", `{"job":"j2","attempt":1,"offset":3,"text":"a\nb"}`},
		{"9", "output_lost", `{"job":"j2","attempt":1}`},
		{"15", "job", `{"job":"j1","state":"failed","attempt":1,"created_us":5,"ended_us":6}`},
	}; !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	close(h.jobs.events) // the coordinator ends
	if _, err := io.ReadAll(stream); err == nil {
		t.Error("a stream that has no end ended in order")
	}
}

func TestJobEventsResume(t *testing.T) {
	t.Parallel()
	h := start(t, func(c *Config) { c.Heartbeat = time.Millisecond })
	for _, header := range [][]string{nil, {"Last-Event-ID", "41"}} {
		resp := h.request(t, "GET", "/v1/events?since=40", "", header...)
		stream := bufio.NewReader(resp.Body)
		events(t, stream, "begin")
		if want := uint64(40 + len(header)/2); h.jobs.asked.After != want || h.jobs.asked.Now {
			t.Errorf("asked for %+v, want what is after %d", h.jobs.asked, want)
		}
		h.jobs.events <- coordinator.JobUpdate{Revision: 50} // nothing of it is told
		for line := ""; line != "id: 50\n"; {
			var err error
			if line, err = stream.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
	}
	h.refused(t, kindMalformed, "GET", "/v1/events?since=2000", "") // of another bucket
	for _, query := range []string{"since=x", "since=01", "output=yes", "label=x", "state=done"} {
		h.refused(t, kindMalformed, "GET", "/v1/events?"+query, "")
	}
	h.refused(t, kindMalformed, "GET", "/v1/events?since=1", "", "Last-Event-ID", "1.2.3")
}

func TestJobEventsDrain(t *testing.T) {
	t.Parallel()
	h := start(t)
	stream := bufio.NewReader(h.request(t, "GET", "/v1/events", "").Body)
	events(t, stream, "begin")
	h.api.Drain()
	if _, err := io.Copy(io.Discard, stream); err != nil {
		t.Errorf("draining broke the stream: %v", err)
	}
	if resp := h.request(t, "HEAD", "/v1/events", ""); resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		t.Errorf("HEAD: %d %v", resp.StatusCode, resp.Header)
	}
}

// TestStreamsAreBounded: of a job and of a tenant, together; a reader that leaves makes room.
func TestStreamsAreBounded(t *testing.T) {
	t.Parallel()
	h := start(t, func(c *Config) { c.MaxStreams = 2; c.Heartbeat = time.Millisecond })
	first := h.request(t, "GET", "/v1/events", "")
	events(t, bufio.NewReader(first.Body), "begin")
	events(t, bufio.NewReader(h.request(t, "GET", "/v1/jobs/"+h.running(t).ID+"/logs?follow=1", "").Body), "state")
	h.refused(t, kindTooManyStreams, "GET", "/v1/events", "")
	if resp := h.request(t, "GET", "/v1/jobs/"+h.running(t).ID+"/logs?follow=1", ""); resp.StatusCode != kindTooManyStreams.status || resp.Header.Get("Retry-After") == "" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
	first.Body.Close()
	for { // the gateway hears of it at its next heartbeat
		resp := h.request(t, "GET", "/v1/events", "")
		if resp.StatusCode == http.StatusOK {
			break
		}
		resp.Body.Close()
	}
}
