package canned

import (
	"archive/tar"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// end makes the job's document what it is after its end.
func (j *job) end() {
	if j.State.Terminal() {
		return
	}
	j.Ended = epoch + 1_500_000
	j.State, j.Failure = j.state, j.failure
	if j.Cancelling {
		j.State, j.Cancelling = schemas.StateCancelled, false
	}
	if j.State != "" {
		return
	}
	j.Attempts = []schemas.Attempt{{N: 1, Executor: "local", Nonce: "n", ClaimedUS: epoch + 1000, EndedUS: j.Ended}}
	j.Outcome, j.State = &j.outcome, j.outcome.State()
	if j.lost {
		j.Lost = []string{schemas.LostResult}
		return
	}
	j.Result = &schemas.Result{
		Version: schemas.ResultVersion, Job: j.ID, Attempt: 1, Outcome: j.outcome,
		Usage:  schemas.Usage{UserUS: 31_000, SystemUS: 8_000, MaxRSSBytes: 25_165_824, PeakMemoryBytes: 41_943_040},
		Spans:  []schemas.Span{{Name: schemas.SpanQueued, StartUS: epoch, EndUS: epoch + 1000}, {Name: schemas.SpanRunning, StartUS: epoch + 1000, EndUS: epoch + 1_301_000}},
		RanOn:  j.ranOn(),
		Stdout: head(j.stdout), Stderr: head(j.stderr), Skipped: j.skipped, SkippedTotal: len(j.skipped),
	}
	j.Result.Outputs = j.listOutputs()
	j.Result.OutputsTotal = len(j.Result.Outputs)
	for _, o := range j.Result.Outputs {
		j.Result.OutputsBytes += o.Size
	}
}

// ranOn is what the job asked for, as far as it asked.
func (j *job) ranOn() schemas.RanOn {
	r := j.Spec.Requires
	return schemas.RanOn{
		Executor: cmp.Or(r.Executor, "local"), Arch: cmp.Or(r.Arch, "amd64"), Isolation: schemas.IsolationVM, Accel: "tcg",
		Kernel: "6.1.0-32-cloud-amd64", ImageDigest: j.Image.Digest, Start: schemas.StartRestored,
	}
}

func head(pieces []string) schemas.Stdio {
	text := strings.Join(pieces, "")
	s := schemas.Stdio{Text: text, Bytes: int64(len(text))}
	if len(text) > schemas.StdioHead {
		s.Text, s.Truncated = text[:schemas.StdioHead], true
		s.Log = &schemas.Object{Name: schemas.ObjectStdout, Size: 1, SHA256: digestOf([]byte("packed"))}
	}
	return s
}

func (j *job) listOutputs() []schemas.Output {
	var list []schemas.Output
	for _, h := range j.script.outputs {
		o := schemas.Output{Path: strings.TrimSuffix(h.Name, "/"), Type: "file", Mode: fmt.Sprintf("%04o", h.Mode)}
		switch h.Typeflag {
		case tar.TypeDir:
			o.Type = "dir"
		case tar.TypeSymlink:
			o.Type, o.Link = "symlink", h.Linkname
		default:
			o.Size, o.SHA256, o.MediaType = int64(len(h.Linkname)), digestOf([]byte(h.Linkname)), "text/plain; charset=utf-8"
		}
		list = append(list, o)
	}
	return list
}

func (g *Gateway) outputs(w http.ResponseWriter, r *http.Request, j *job) {
	if j.lost {
		g.lost(w)
		return
	}
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		g.reply(w, http.StatusOK, "output-list", schemas.OutputList{Outputs: j.listOutputs()})
		return
	}
	w.Header().Set("Content-Type", "application/x-tar")
	archive := tar.NewWriter(w)
	for _, h := range j.script.outputs {
		h := *h
		data := ""
		if h.Typeflag == tar.TypeReg {
			data, h.Linkname = h.Linkname, ""
			h.Size = int64(len(data))
		}
		h.Format = tar.FormatPAX
		if err := archive.WriteHeader(&h); err != nil {
			g.t.Errorf("write tar: %v", err)
		}
		_, _ = io.WriteString(archive, data)
	}
	_ = archive.Close() // the client may have left
}

func (g *Gateway) lost(w http.ResponseWriter) {
	g.problem(w, http.StatusInternalServerError, "object-lost", "The object store has lost it", "result.json of the job is not in the object store, or is not what was stored", "run the job again, and tell whoever runs the gateway")
}

func (g *Gateway) outputFile(w http.ResponseWriter, r *http.Request, j *job) {
	for _, h := range j.script.outputs {
		if h.Name == r.PathValue("path") && h.Typeflag == tar.TypeReg {
			_, _ = io.WriteString(w, h.Linkname)
			return
		}
	}
	g.problem(w, http.StatusNotFound, "not-found", "There is no such thing here", fmt.Sprintf("the job left no output %q", r.PathValue("path")), "")
}

func (g *Gateway) logs(w http.ResponseWriter, r *http.Request, j *job) {
	if !strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		if j.lost {
			g.lost(w)
			return
		}
		pieces := j.stdout
		if r.URL.Query().Get("stream") == schemas.StreamStderr {
			pieces = j.stderr
		}
		_, _ = io.WriteString(w, strings.Join(pieces, ""))
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	s := sender{Gateway: g, w: w, resumed: r.Header.Get("Last-Event-ID")}
	if s.resumed == "" {
		s.event("0", schemas.StreamState, "stream-change", schemas.StreamChange{State: schemas.StateQueued, Waiting: "no executor is free"})
	}
	if j.again && s.resumed == "" {
		s.event("1", schemas.StreamState, "stream-change", schemas.StreamChange{State: schemas.StateRunning, Attempt: 1, Executor: "lost"})
		s.event("1", schemas.StreamStdout, "stream-text", schemas.NewStreamText(0, []byte("from the")))
	}
	if !g.play(&s, j) {
		panic(http.ErrAbortHandler)
	}
	g.run(r, j)
	if r.Context().Err() != nil {
		return
	}
	g.mu.Lock()
	state := j.State
	g.mu.Unlock()
	s.event("9", schemas.StreamEnd, "stream-change", schemas.StreamChange{State: state, Attempt: s.attempt, OutputLost: j.lost})
}

// play sends the program's output; false means to break the connection off.
func (g *Gateway) play(s *sender, j *job) bool {
	if j.script.state != "" {
		return true
	}
	s.attempt = 1
	if j.again {
		s.attempt = 2
	}
	s.event("2", schemas.StreamState, "stream-change", schemas.StreamChange{State: schemas.StateRunning, Attempt: s.attempt, Executor: "local"})
	s.event("2", schemas.StreamStage, "stage", schemas.Stage{Name: schemas.SpanRunning, AtUS: epoch})
	_, _ = io.WriteString(s.w, ": a comment\nevent: newer-kind\ndata: {}\n\n")
	offset := j.gap
	for i, piece := range j.stdout {
		if j.flaky && i < j.broken {
			offset += int64(len(piece))
			continue
		}
		// The piece before comes again with this one: clients drop what they had.
		s.event("3", schemas.StreamStdout, "stream-text", schemas.NewStreamText(offset, []byte(piece)))
		s.event("3", schemas.StreamStdout, "stream-text", schemas.NewStreamText(offset, []byte(piece)))
		offset += int64(len(piece))
		if j.flaky && i == j.broken && i < len(j.stdout)-1 {
			j.broken++
			return false
		}
	}
	offset = 0
	for _, piece := range j.stderr {
		s.event("4", schemas.StreamStderr, "stream-text", schemas.NewStreamText(offset, []byte(piece)))
		offset += int64(len(piece))
	}
	return true
}

// sender writes events.
type sender struct {
	*Gateway
	w       http.ResponseWriter
	resumed string
	attempt int
}

func (s *sender) event(id, kind, schema string, v any) {
	fmt.Fprintf(s.w, "id: %s\nevent: %s\ndata: %s\n\n", id, kind, s.encode(schema, v))
	rc := http.NewResponseController(s.w)
	_ = rc.SetWriteDeadline(time.Now().Add(10 * time.Second))
	_ = rc.Flush()
}
