package api

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/program-explorer/pe/schemas"
)

// withLargeAnswers is an ended job of which everything is large: specification,
// result, a log, outputs.
func withLargeAnswers(t *testing.T) (*harness, schemas.Record) {
	t.Helper()
	h := start(t)
	h.api.answers.patience = time.Millisecond
	id := h.submit(t, `{"image":"gcc","args":["`+strings.Repeat("a", smallAnswer)+`"]}`).ID
	r, err := h.jobs.Get(t.Context(), schemas.SingleTenant, id)
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	w, err := zstd.NewWriter(&packed)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("0123456789abcdef", 10_000)
	io.WriteString(w, long)
	w.Close()
	log := h.put(t, r, schemas.ObjectStdout, packed.Bytes())
	h.finish(t, id, schemas.Result{
		Outcome: exitCode(0), Stdout: schemas.Stdio{Text: long[:100], Bytes: int64(len(long)), Truncated: true, Log: &log},
		Stderr: schemas.Stdio{Text: "warning", Bytes: 7},
	}, output{name: "a.txt", content: "hello"})
	if r, err = h.jobs.Get(t.Context(), schemas.SingleTenant, id); err != nil {
		t.Fatal(err)
	}
	return h, r
}

// TestLargeAnswersNeedRoom until they are sent; small ones need none, and neither
// does what is sent as it is stored.
func TestLargeAnswersNeedRoom(t *testing.T) {
	t.Parallel()
	h, r := withLargeAnswers(t)
	at := "/v1/jobs/" + r.ID
	asJSON, asStored := []string{"Accept", "application/json"}, []string{"Accept-Encoding", "zstd"}
	large := []struct {
		path   string
		header []string
	}{{at, nil}, {at + "/logs", nil}, {at + "/outputs", nil}, {at + "/outputs", asJSON}, {at + "/outputs/a.txt", nil}}
	for _, c := range large {
		h.text(t, c.path, c.header...)
	}
	leave := h.api.answers.hold(t, schemas.SingleTenant, tenantAnswerBytes)
	for _, c := range large {
		h.refused(t, kindManyDownloads, "GET", c.path, "", c.header...)
	}
	if after := h.request(t, "GET", at, "").Header.Get("Retry-After"); after != "2" {
		t.Errorf("Retry-After %q", after)
	}
	for _, c := range []struct {
		path   string
		header []string
	}{{at + "/logs?stream=stderr", nil}, {at + "/outputs", asStored}, {"/v1/jobs", nil}} {
		h.text(t, c.path, c.header...)
	}
	leave()
	for i := range answerBytes / tenantAnswerBytes {
		defer h.api.answers.hold(t, fmt.Sprint("tenant-", i), tenantAnswerBytes)()
	}
	h.refused(t, kindBusy, "GET", at+"/logs", "")
}

// TestRoomOfAnswersIsGivenBack: by whoever has read it, and by whoever has left.
func TestRoomOfAnswersIsGivenBack(t *testing.T) {
	t.Parallel()
	h, r := withLargeAnswers(t)
	at := "/v1/jobs/" + r.ID
	for _, path := range []string{at, at + "/logs", at + "/outputs", at + "/outputs/a.txt", at + "/outputs/none"} {
		for _, method := range []string{"GET", "HEAD"} {
			io.Copy(io.Discard, h.request(t, method, path, "").Body)
		}
		ctx, leave := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, "GET", h.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := http.DefaultTransport.RoundTrip(req); err == nil {
			defer resp.Body.Close()
		}
		leave()
	}
	users := func() int {
		h.api.answers.mu.Lock()
		defer h.api.answers.mu.Unlock()
		return len(h.api.answers.tenants)
	}
	for deadline := time.Now().Add(10 * time.Second); users() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("room is not given back")
		}
	}
}

// TestALongListNeedsRoom: of records, too, though only what is encoded shows how long it is.
func TestALongListNeedsRoom(t *testing.T) {
	t.Parallel()
	h := start(t)
	label := strings.Repeat("x", schemas.MaxLabelBytes)
	for range 80 {
		h.submit(t, fmt.Sprintf(`{"image":"gcc","labels":{"a":%q,"b":%q,"c":%q,"d":%q}}`, label, label, label, label))
	}
	defer h.api.answers.hold(t, schemas.SingleTenant, tenantAnswerBytes)()
	h.refused(t, kindManyDownloads, "GET", "/v1/jobs?limit=100", "")
	h.text(t, "/v1/jobs?limit=10")
}

// TestASubmissionWithoutRoomForItsAnswerIsTaken: refusing it would have it sent again.
func TestASubmissionWithoutRoomForItsAnswerIsTaken(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.api.answers.patience = time.Millisecond
	large := `{"image":"gcc","args":["` + strings.Repeat("a", smallAnswer) + `"]}`
	leave := h.api.answers.hold(t, schemas.SingleTenant, tenantAnswerBytes)
	job := ask[schemas.Job](t, h, http.StatusAccepted, "POST", "/v1/jobs", large)
	if job.ID == "" || job.Spec != nil {
		t.Errorf("%+v", job)
	}
	leave()
	if job := ask[schemas.Job](t, h, http.StatusOK, "GET", "/v1/jobs/"+job.ID, ""); job.Spec == nil {
		t.Error("no specification")
	}
}

// heap is how much memory is in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what the first one found to be finalized
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// slowly sends a request and reads no more than the answer's header.
func (h *harness) slowly(t *testing.T, path string) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n", path)
	if line, err := bufio.NewReaderSize(conn, 16).ReadString('\r'); err != nil || line != "HTTP/1.1 200 OK\r" {
		t.Fatalf("%q, %v", line, err)
	}
}

// TestSlowReadersOfLists hold neither the list nor its index, however many they are.
// It measures the process's memory, so nothing else runs beside it.
func TestSlowReadersOfLists(t *testing.T) {
	h := start(t)
	id := h.submit(t, `{"image":"gcc"}`).ID
	outputs := make([]output, 25_000)
	for i := range outputs {
		outputs[i] = output{name: fmt.Sprintf("%0200d", i)}
	}
	h.finish(t, id, schemas.Result{Outcome: exitCode(0)}, outputs...)
	r, err := h.jobs.Get(t.Context(), schemas.SingleTenant, id)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := h.store.Stat(t.Context(), r.ResultKey(schemas.ObjectIndex)); err != nil || info.Size <= indexKeptBytes {
		t.Fatalf("an index of %d bytes is kept, %v", info.Size, err)
	}
	outputs, r = nil, schemas.Record{}
	const readers = 8
	before := heap()
	for range readers {
		h.slowly(t, "/v1/jobs/"+id+"/outputs")
	}
	if held := heap() - before; held > readers*1<<20 {
		t.Errorf("%d readers hold %d KiB each", readers, held/readers>>10)
	}
}

// TestWaitsHoldNoSpecifications, as so many may wait.
func TestWaitsHoldNoSpecifications(t *testing.T) {
	h := start(t)
	spec := `{"image":"gcc","files":{"a":{"text":"` + strings.Repeat("a", 900<<10) + `"}}}`
	const waits = 30
	before := heap()
	for range waits {
		go func() {
			req, err := http.NewRequestWithContext(t.Context(), "POST", h.url+"/v1/jobs?wait=1m", strings.NewReader(spec))
			if err != nil {
				return
			}
			req.Header.Set("Content-Type", "application/json")
			if resp, err := http.DefaultTransport.RoundTrip(req); err == nil {
				resp.Body.Close()
			}
		}()
	}
	h.jobs.awaitWaiters(t, waits)
	if held := heap() - before; held > waits*300<<10 {
		t.Errorf("each wait holds %d KiB", held/waits>>10)
	}
}
