package qemu

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const greeting = `{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}}, "capabilities": ["oob"]}}` + "\r\n"

// fakeQEMU answers each command line with what reply says.
func fakeQEMU(conn net.Conn, reply func(id uint64, command string) string) {
	defer conn.Close()
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		var m struct {
			Execute string
			ID      uint64
		}
		if json.Unmarshal(lines.Bytes(), &m) != nil {
			return
		}
		if _, err := io.WriteString(conn, reply(m.ID, m.Execute)); err != nil {
			return
		}
	}
}

func noEvents(string, json.RawMessage) {}

func TestQMP(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		go func() {
			_, _ = io.WriteString(theirs, greeting)
			fakeQEMU(theirs, func(id uint64, command string) string {
				switch command {
				case "qmp_capabilities":
					return fmt.Sprintf(`{"timestamp": {"seconds": 1}, "event": "RESUME"}`+"\r\n"+`{"return": {}, "id": %d}`+"\r\n", id)
				case "late":
					return ""
				case "after":
					return fmt.Sprintf(`{"return": {}, "id": %d}`+"\n"+`{"return": {}, "id": %d}`+"\n", id-1, id)
				}
				return fmt.Sprintf(`{"id": %d, "error": {"class": "GenericError", "desc": "no"}}`+"\r\n", id)
			})
		}()
		var events []string
		q := newQMP(ours, func(name string, _ json.RawMessage) { events = append(events, name) })
		defer func() { _ = ours.Close(); <-q.done }()
		if err := q.negotiate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(events) != 1 || events[0] != "RESUME" {
			t.Errorf("events: %v", events)
		}
		var refused *qmpError
		if err := q.execute(t.Context(), "block_resize", nil); !errors.As(err, &refused) || refused.Desc != "no" {
			t.Errorf("refusal: %v", err)
		}
		start := time.Now()
		if err := q.execute(t.Context(), "late", nil); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != qmpTimeout {
			t.Errorf("no answer: %v after %v", err, time.Since(start))
		}
		// The late answer comes first, and must not be taken for this one's.
		if err := q.execute(t.Context(), "after", nil); err != nil {
			t.Error(err)
		}
		if len(q.waiting) != 0 {
			t.Errorf("still waiting for %v", q.waiting)
		}
	})
}

func TestQMPConcurrent(t *testing.T) {
	t.Parallel()
	ours, theirs := net.Pipe()
	go func() {
		_, _ = io.WriteString(theirs, greeting)
		fakeQEMU(theirs, func(id uint64, command string) string {
			return fmt.Sprintf(`{"id": %d, "error": {"desc": %q}}`+"\n", id, command)
		})
	}()
	q := newQMP(ours, noEvents)
	defer func() { _ = ours.Close(); <-q.done }()
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			want := fmt.Sprint("command-", i)
			var e *qmpError
			if err := q.execute(t.Context(), want, nil); !errors.As(err, &e) || e.Desc != want {
				t.Errorf("%s got the answer %v", want, err)
			}
		})
	}
	all.Wait()
}

func TestQMPHostile(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ sent, want string }{
		"nothing":       {"", "EOF"},
		"no JSON":       {"SSH-2.0-OpenSSH\n", "decode QMP"},
		"wrong types":   {`{"event": 7}` + "\n", "decode QMP"},
		"negative id":   {`{"return": {}, "id": -1}` + "\n", "decode QMP"},
		"endless line":  {`{"event": "` + strings.Repeat("x", qmpMaxMessage), "token too long"},
		"deep":          {strings.Repeat("[", 100_000) + "\n", "decode QMP"},
		"two greetings": {greeting + greeting, "greeted twice"},
		"no id":         {`{"error": {"class": "a", "desc": "b"}}` + "\n", "no greeting, event or answer"},
		"empty object":  {"{}\n", "no greeting, event or answer"},
		"answers only":  {strings.Repeat(`{"return": {}, "id": 1}`+"\n", 1000), "EOF"},
	} {
		ours, theirs := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, theirs) }()
		go func() { _, _ = io.WriteString(theirs, c.sent); _ = theirs.Close() }()
		q := newQMP(ours, noEvents)
		<-q.done
		err := q.execute(t.Context(), "quit", nil)
		if err == nil || !strings.Contains(fmt.Sprint(q.failure()), c.want) {
			t.Errorf("%s: got %v (%v), want %q", name, q.failure(), err, c.want)
		}
	}
}

func FuzzDecodeQMP(f *testing.F) {
	for _, s := range []string{
		greeting, `{"return": {}, "id": 1}`, `{"id": 2, "error": {"class": "GenericError", "desc": "x"}}`,
		`{"event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-reset"}}`, "\n\n{}\n", "[[[[", `{"id":1e99}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		q := &qmp{greeted: make(chan struct{}), onEvent: (&Machine{}).onEvent, waiting: map[uint64]chan qmpMessage{1: make(chan qmpMessage, 1)}}
		n := 0
		_ = decodeQMP(bytes.NewReader(b), func(m qmpMessage) error { n++; return q.dispatch(m) })
		if n > len(b) {
			t.Errorf("%d messages in %d bytes", n, len(b))
		}
	})
}
