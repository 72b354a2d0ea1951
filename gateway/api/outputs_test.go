package api

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"

	"github.com/program-explorer/pe/gateway/jobresult"
	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/schemas"
)

const hostilePage = "<!doctype html><script>document.title='ran'</script>"

// withOutputs is a harness with an ended job that left all sorts of outputs.
func withOutputs(t *testing.T) (h *harness, id string) {
	t.Helper()
	h = start(t)
	id = h.submit(t, `{"image":"gcc"}`).ID
	h.finish(t, id, schemas.Result{Outcome: exitCode(0)},
		output{name: "dir", dir: true},
		output{name: "dir/page.html", content: hostilePage},
		output{name: "dir/link", link: "page.html"},
		output{name: "digits", content: "0123456789"},
		output{name: "pixel.png", content: "\x89PNG\r\n\x1a\n" + strings.Repeat("\x00", 40)},
		output{name: "draw.svg", content: `<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>`},
		output{name: "new\nline and %41 ü", content: "odd"},
		output{name: "bad\xff\xfeutf8", content: "bytes"},
		output{name: "empty", content: ""},
		output{name: "large", content: strings.Repeat("abcdefghij", 100_000)},
	)
	return h, id
}

func TestOneOutput(t *testing.T) {
	t.Parallel()
	h, id := withOutputs(t)
	base := "/v1/jobs/" + id + "/outputs/"
	for name, want := range map[string]string{
		"digits": "0123456789", "dir/page.html": hostilePage, "dir%2Fpage.html": hostilePage, "new%0aline%20and%20%2541%20%C3%BC": "odd",
		"bad%ff%feutf8": "bytes", "empty": "", "large": strings.Repeat("abcdefghij", 100_000),
	} {
		if got := h.text(t, base+name); got != want {
			t.Errorf("%s: %d bytes, want %d", name, len(got), len(want))
		}
	}
	h.refused(t, kindNotFound, "GET", base+"nosuch", "")
	h.refused(t, kindNotFound, "GET", base+"bad%ef%bf%bdutf8", "")
	h.refused(t, kindNotFound, "GET", base+"..%2f..%2fspec.json", "")
	h.refused(t, kindNotAFile, "GET", base+"dir", "")
	if p := h.refused(t, kindNotAFile, "GET", base+"dir/link", ""); !strings.Contains(p.Detail, "page.html") {
		t.Errorf("detail %q does not say where the link leads", p.Detail)
	}
}

func TestOutputsAreServedAsHostile(t *testing.T) {
	t.Parallel()
	h, id := withOutputs(t)
	for name, disposition := range map[string]string{
		"dir/page.html":                     `attachment; filename="page.html"`,
		"draw.svg":                          `attachment; filename="draw.svg"`,
		"pixel.png":                         `inline; filename="pixel.png"`,
		"bad%ff":                            "",
		"new%0aline%20and%20%2541%20%C3%BC": `attachment; filename="new_line and _41 _"; filename*=UTF-8''new%0Aline%20and%20%2541%20%C3%BC`,
	} {
		head := h.request(t, "GET", "/v1/jobs/"+id+"/outputs/"+name, "").Header
		if got := head.Get("Content-Disposition"); got != disposition {
			t.Errorf("%s: disposition %q, want %q", name, got, disposition)
		}
		if head.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s may be sniffed", name)
		}
		if disposition != "" && (!strings.HasPrefix(head.Get("Content-Security-Policy"), "sandbox;") || head.Get("Cross-Origin-Resource-Policy") != "same-origin") {
			t.Errorf("%s: headers %v", name, head)
		}
	}
}

func TestRanges(t *testing.T) {
	t.Parallel()
	h, id := withOutputs(t)
	at := "/v1/jobs/" + id + "/outputs/digits"
	etag := h.request(t, "HEAD", at, "").Header.Get("ETag")
	cases := []struct {
		header []string
		status int
		body   string
	}{
		{[]string{"Range", "bytes=2-4"}, 206, "234"},
		{[]string{"Range", "bytes=7-"}, 206, "789"},
		{[]string{"Range", "bytes=-3"}, 206, "789"},
		{[]string{"Range", "bytes=-100"}, 206, "0123456789"},
		{[]string{"Range", "bytes=5-1000"}, 206, "56789"},
		{[]string{"Range", "lines=1-2"}, 416, ""},
		{[]string{"Range", "bytes=10-"}, 416, ""},
		{[]string{"Range", "bytes=4-2"}, 416, ""},
		{[]string{"Range", "bytes=8-9,0-1"}, 200, "0123456789"},
		{[]string{"Range", "bytes=10-,20-"}, 200, "0123456789"},
		{[]string{"Range", "bytes=0-1", "If-Range", etag}, 206, "01"},
		{[]string{"Range", "bytes=0-1", "If-Range", `"other"`}, 200, "0123456789"},
		{[]string{"If-None-Match", etag}, 304, ""},
		{[]string{"If-None-Match", `"other"`}, 200, "0123456789"},
	}
	for _, c := range cases {
		resp := h.request(t, "GET", at, "", c.header...)
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != c.status || c.status < 400 && string(body) != c.body {
			t.Errorf("%v: %d %q %v, want %d %q", c.header, resp.StatusCode, body, err, c.status, c.body)
		}
		if c.status == 416 && (resp.Header.Get("Content-Type") != "application/problem+json" || resp.Header.Get("Content-Range") != "bytes */10" && c.header[1] == "bytes=10-") {
			t.Errorf("%v: %v", c.header, resp.Header)
		}
	}
}

func TestAllOutputs(t *testing.T) {
	t.Parallel()
	h, id := withOutputs(t)
	at := "/v1/jobs/" + id + "/outputs"
	plain := h.text(t, at)
	names := map[string]string{}
	for r := tar.NewReader(strings.NewReader(plain)); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		names[header.Name] = string(data)
	}
	if len(names) != 10 || names["bad\xff\xfeutf8"] != "bytes" || len(names["large"]) != 1_000_000 {
		t.Errorf("the tar holds %d entries", len(names))
	}
	packed := h.request(t, "GET", at, "", "Accept-Encoding", "gzip, zstd")
	if packed.Header.Get("Content-Encoding") != "zstd" {
		t.Errorf("coding %q", packed.Header.Get("Content-Encoding"))
	}
	d, err := zstd.NewReader(packed.Body)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if same, err := io.ReadAll(d); err != nil || string(same) != plain {
		t.Errorf("compressed: %d bytes, %v; plain %d", len(same), err, len(plain))
	}
	list := ask[schemas.OutputList](t, h, http.StatusOK, "GET", at, "", "Accept", "application/json")
	if len(list.Outputs) != 10 || list.Outputs[2].Type != "symlink" || list.Outputs[2].Link != "page.html" || list.Outputs[7].PathBase64 == "" {
		t.Errorf("%+v", list.Outputs)
	}
}

func TestOutputsThatAreNotThere(t *testing.T) {
	t.Parallel()
	h := start(t)
	id := h.submit(t, `{"image":"gcc"}`).ID
	h.refused(t, kindNotEnded, "GET", "/v1/jobs/"+id+"/outputs", "")
	h.refused(t, kindNotEnded, "GET", "/v1/jobs/"+id+"/outputs/x", "")
	h.finish(t, id, schemas.Result{Outcome: exitCode(0)})
	if got := h.text(t, "/v1/jobs/"+id+"/outputs"); len(got) != 1024 || strings.Trim(got, "\x00") != "" {
		t.Errorf("no outputs: %d bytes, want an empty tar", len(got))
	}
	h.refused(t, kindNotFound, "GET", "/v1/jobs/"+id+"/outputs/x", "")
	cancelled := h.submit(t, `{"image":"gcc"}`).ID
	ask[schemas.Job](t, h, http.StatusOK, "DELETE", "/v1/jobs/"+cancelled, "")
	h.refused(t, kindNotFound, "GET", "/v1/jobs/"+cancelled+"/outputs", "")
}

// What an executor or a disk changed behind the record's back must never pass for the job's.
func TestTamperedObjectsBreakTheAnswer(t *testing.T) {
	t.Parallel()
	h, id := withOutputs(t)
	key := schemas.AttemptKey("local", id, 1, schemas.ObjectArchive)
	body, info, err := h.store.Get(t.Context(), key, objstore.Range{})
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(body)
	body.Close()
	if err != nil {
		t.Fatal(err)
	}
	data[info.Size-20] ^= 1
	if _, err := h.store.Put(t.Context(), key, bytes.NewReader(data), objstore.PutOptions{Size: info.Size}); err != nil {
		t.Fatal(err)
	}
	h.api.objects = jobresult.New(mute{h.store}, 0)
	for _, coding := range []string{"identity", "zstd"} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", h.url+"/v1/jobs/"+id+"/outputs", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept-Encoding", coding)
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		if err == nil {
			t.Errorf("%s: a tampered archive came to a good end", coding)
		}
	}
	if n := strings.Count(h.logged(), "level=ERROR"); n != 2 {
		t.Errorf("two tampered answers left %d errors in the log", n)
	}
}

// mute is a store that knows no digests: what it has shows only as it is read.
type mute struct{ objstore.Store }

func (m mute) Get(ctx context.Context, key string, r objstore.Range) (io.ReadCloser, objstore.Info, error) {
	body, info, err := m.Store.Get(ctx, key, r)
	info.SHA256 = ""
	return body, info, err
}

func TestEntryContentSeeks(t *testing.T) {
	t.Parallel()
	opened := 0
	c := &entryContent{ctx: t.Context(), size: 10, open: func() (io.ReadCloser, error) {
		opened++
		return io.NopCloser(strings.NewReader("0123456789")), nil
	}}
	defer c.Close()
	if err := iotest.TestReader(c, []byte("0123456789")); err != nil {
		t.Error(err)
	}
	if opened < 2 {
		t.Error("seeking back did not begin again")
	}
}

// TestFarRangesTakeTurns: so much is decompressed for them, and sent by nobody, that
// only a few are read at once; who leaves gives the turn back.
func TestFarRangesTakeTurns(t *testing.T) {
	t.Parallel()
	turns := make(chan struct{}, 1)
	far := func(ctx context.Context) *entryContent {
		return &entryContent{ctx: ctx, turns: turns, size: 1 << 40, want: 1 << 39, open: func() (io.ReadCloser, error) {
			return io.NopCloser(endless{}), nil
		}}
	}
	first, leave := context.WithCancel(t.Context())
	errs := make(chan error)
	go func() { _, err := far(first).Read(make([]byte, 1)); errs <- err }()
	for len(turns) == 0 {
		runtime.Gosched()
	}
	second, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := far(second).Read(make([]byte, 1)); !errors.Is(err, context.Canceled) || len(turns) != 1 {
		t.Errorf("a second one: %v", err)
	}
	near := far(t.Context())
	near.want = freeSkip
	if _, err := near.Read(make([]byte, 1)); err != nil {
		t.Errorf("what is near waits: %v", err)
	}
	leave()
	if err := <-errs; !errors.Is(err, context.Canceled) || len(turns) != 0 {
		t.Errorf("who has left reads on: %v", err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestBlobs(t *testing.T) {
	t.Parallel()
	h := start(t, func(c *Config) { c.MaxBlobBytes = 1000 })
	sum := strings.TrimPrefix(objectOf("", []byte("content")).SHA256, "sha256:")
	other := strings.Repeat("1", 64)
	missing := `{"sha256":["sha256:` + sum + `","sha256:` + other + `","sha256:` + other + `"]}`
	if got := ask[schemas.MissingReply](t, h, 200, "POST", "/v1/blobs/missing", missing); len(got.Missing) != 2 {
		t.Errorf("missing %v", got.Missing)
	}
	h.refused(t, kindDigest, "PUT", "/v1/blobs/"+other, "content")
	if got := ask[schemas.Blob](t, h, 201, "PUT", "/v1/blobs/sha256:"+sum, "content"); got.Size != 7 || got.SHA256 != "sha256:"+sum {
		t.Errorf("%+v", got)
	}
	ask[schemas.Blob](t, h, 200, "PUT", "/v1/blobs/"+sum, "content")
	if got := ask[schemas.MissingReply](t, h, 200, "POST", "/v1/blobs/missing", missing); len(got.Missing) != 1 || got.Missing[0] != "sha256:"+other {
		t.Errorf("missing %v", got.Missing)
	}
	h.refused(t, kindMalformed, "PUT", "/v1/blobs/"+strings.ToUpper(sum), "content")
	h.refused(t, kindTooLarge, "PUT", "/v1/blobs/"+other, strings.Repeat("x", 1001))
	h.refused(t, kindMalformed, "POST", "/v1/blobs/missing", `{"sha256":["x"]}`)
	h.refused(t, kindMalformed, "POST", "/v1/blobs/missing", `{"sha256":[],"x":1}`)
	h.refused(t, kindMalformed, "POST", "/v1/blobs/missing", `{"sha256":[]}[]`)
	// In chunks, without a length: stored if it fits, refused if not.
	for body, status := range map[string]int{"chunked": 201, strings.Repeat("y", 1001): 413} {
		digest := strings.TrimPrefix(objectOf("", []byte(body)).SHA256, "sha256:")
		req, err := http.NewRequestWithContext(t.Context(), "PUT", h.url+"/v1/blobs/"+digest, struct{ io.Reader }{strings.NewReader(body)})
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != status {
			t.Errorf("%d bytes in chunks: %d, want %d", len(body), resp.StatusCode, status)
		}
	}
}

func TestSignedObjectsNeedNoToken(t *testing.T) {
	t.Parallel()
	h := start(t, withTokens(t, token(t, "0123456789abcdef", "")))
	if _, err := h.store.Put(t.Context(), "local/in/x", strings.NewReader("signed"), objstore.PutOptions{Size: 6}); err != nil {
		t.Fatal(err)
	}
	signed, err := h.store.SignGet(t.Context(), "local/in/x", 0)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(signed.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp := h.request(t, "GET", u.RequestURI(), "")
	if data, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 || string(data) != "signed" {
		t.Errorf("%d %s", resp.StatusCode, data)
	}
	if resp := h.request(t, "GET", u.Path, ""); resp.StatusCode != http.StatusForbidden {
		t.Errorf("unsigned: %d", resp.StatusCode)
	}
	if strings.Contains(h.logged(), u.RawQuery) {
		t.Error("the log holds a signature")
	}
}

func TestLists(t *testing.T) {
	t.Parallel()
	h := start(t)
	for range 5 {
		h.submit(t, `{"image":"gcc","labels":{"a":"1"}}`)
	}
	page := ask[schemas.JobList](t, h, 200, "GET", "/v1/jobs?limit=3&state=queued&state=running&label=a%3D1", "")
	if len(page.Jobs) != 3 || page.Next == "" || page.Jobs[0].ID < page.Jobs[1].ID || page.Jobs[0].Spec != nil {
		t.Fatalf("%+v", page)
	}
	if rest := ask[schemas.JobList](t, h, 200, "GET", "/v1/jobs?limit=3&cursor="+page.Next, ""); len(rest.Jobs) != 2 || rest.Next != "" {
		t.Errorf("%+v", rest)
	}
	for _, query := range []string{"limit=0", "limit=501", "limit=x", "state=done", "label=x", "label==x", "cursor=" + strings.Repeat("x", 300)} {
		h.refused(t, kindMalformed, "GET", "/v1/jobs?"+query, "")
	}
	if list := ask[schemas.ExecutorList](t, h, 200, "GET", "/v1/executors", ""); len(list.Executors) != 1 {
		t.Errorf("%+v", list)
	}
	if list := ask[schemas.ImageList](t, h, 200, "GET", "/v1/images", ""); list.Images[0].Name != "gcc" {
		t.Errorf("%+v", list)
	}
}
