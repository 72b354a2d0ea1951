package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/program-explorer/pe/gateway/api"
	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/gateway/retention"
	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/internal/objstore/dir"
	"github.com/program-explorer/pe/schemas"
)

// sweptServer is a gateway that sweeps a real store by the records of a real queue.
func sweptServer(t *testing.T) (store objstore.Store, url string) {
	t.Helper()
	q, err := jobqueue.Connect(t.Context(), jobqueue.Config{URL: natsServer(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	if err := q.EnsureStreams(t.Context()); err != nil {
		t.Fatal(err)
	}
	if store, err = dir.Open(dir.Config{Path: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	jobs, err := coordinator.New(coordinator.Config{Queue: q, Store: store})
	if err != nil {
		t.Fatal(err)
	}
	sweeper, err := retention.New(retention.Config{Jobs: jobs, Queue: q, Store: store})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- jobs.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ended })
	handler, err := api.New(api.Config{Jobs: jobs, Store: store, Sweeper: sweeper,
		Resolve: func(context.Context, string) (api.ResolvedImage, error) { return api.ResolvedImage{}, nil }})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return store, s.URL
}

// TestSweepCommand: a dry run says what the sweep then does.
func TestSweepCommand(t *testing.T) {
	t.Parallel()
	store, url := sweptServer(t)
	environ := []string{"PE_SERVER=" + url}
	keys := []string{"alice/jobs/j0000000000000000000000000/1/result.json", "alice/jobs/j0000000000000000000000000/1/stdout.zst", "strange"}
	for _, key := range keys {
		if _, err := store.Put(t.Context(), key, strings.NewReader("12345"), objstore.PutOptions{Size: 5}); err != nil {
			t.Fatal(err)
		}
	}
	if out, _ := ped(t, environ, "admin", "sweep", "--dry-run"); out != "3 objects looked at (15 B), 0 to delete (0 MiB), 2 too young to judge, 1 not ours" {
		t.Errorf("printed %s", out)
	}
	dry, said := ped(t, environ, "admin", "sweep", "--dry-run", "--grace", "0")
	if !strings.Contains(dry, "alice   no-record  2        10 B  "+keys[0]) || !strings.Contains(dry, "2 to delete") || said != "" {
		t.Errorf("printed\n%s\nand said %q", dry, said)
	}
	text, _ := ped(t, environ, "admin", "sweep", "--grace", "0", "--json")
	var report schemas.SweepReport
	if err := json.Unmarshal([]byte(text), &report); err != nil || !report.Done || report.Total() != (schemas.ObjectCount{Objects: 2, Bytes: 10}) {
		t.Errorf("printed %s, %v", text, err)
	}
	if left, err := store.List(t.Context(), "", "", 0); err != nil || len(left) != 1 || left[0].Key != "strange" {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestSweepCommandSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"no gateway at http://127.0.0.1:1": {"--server", "http://127.0.0.1:1"},
		"want 0 to 720h0m0s":               {"--grace", "-1s"},
		"want 0 arguments, have 1":         {"now"},
		`invalid argument "soon"`:          {"--grace", "soon"},
	} {
		var out, errs bytes.Buffer
		code := run(t.Context(), append([]string{"admin", "sweep"}, args...), nil, &out, &errs)
		if code == exitOK || (code == exitUsage) == strings.HasPrefix(want, "no gateway") || !strings.Contains(errs.String(), want) || out.Len() > 0 {
			t.Errorf("%q: code %d, %s%s", args, code, errs.String(), out.String())
		}
	}
}

// TestPageHasTheSweep holds the page to the command.
func TestPageHasTheSweep(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "retention.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range append([]string{"ped admin sweep", "--dry-run", "--grace"}, schemas.GarbageKinds...) {
		if !strings.Contains(string(page), want) {
			t.Errorf("docs/retention.md lacks %s", want)
		}
	}
}
