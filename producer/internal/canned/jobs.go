package canned

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// epoch is when everything happens.
const epoch = 1_790_000_000_000_000

// job is a job and its script.
type job struct {
	schemas.Job
	script
	cancelled chan struct{}
	// broken counts connections of its stream that were broken off.
	broken int
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return schemas.Digest(sum[:])
}

// goldenSample reads a sample of package schemas.
func goldenSample(t testing.TB, name string) []byte {
	_, here, _, _ := runtime.Caller(0)
	data, err := os.ReadFile(filepath.Join(filepath.Dir(here), "../../../schemas/testdata/golden", name+".json"))
	if err != nil {
		t.Error(err)
	}
	return data
}

func (g *Gateway) submit(w http.ResponseWriter, r *http.Request) {
	spec, problems, err := schemas.DecodeJobSpec(r.Body)
	if err != nil {
		g.problem(w, http.StatusBadRequest, "malformed", "The request is malformed", err.Error(), "")
		return
	}
	if len(problems) > 0 {
		g.problem(w, http.StatusUnprocessableEntity, "invalid-job", "The job specification is not valid", problems[0].Message, "", problems...)
		return
	}
	if slices.Contains([]string{"nowhere", "busybix", "gcc:99"}, spec.Image) {
		g.problem(w, http.StatusUnprocessableEntity, "unknown-image", "The image cannot be had",
			"docker.io/library/"+spec.Image+": the registry says: manifest unknown", "pe images lists the names that are known")
		return
	}
	if arch := spec.Requires.Arch; spec.Image == "amd64only" && arch != "amd64" {
		g.problem(w, http.StatusUnprocessableEntity, "image-arch", "The image does not have this architecture",
			"image amd64only is not there for "+arch+"; it has amd64", "")
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, j := range g.jobs {
		if spec.IdempotencyKey != "" && j.Spec.IdempotencyKey == spec.IdempotencyKey {
			g.reply(w, http.StatusAccepted, "job", j.Job)
			return
		}
	}
	if j := g.cached(spec); j != nil {
		g.reply(w, http.StatusOK, "job", j.Job)
		return
	}
	for name, f := range spec.Files {
		if size, have := g.blobs[f.SHA256]; f.SHA256 != "" && !have {
			g.reply(w, http.StatusUnprocessableEntity, "problem-document", schemas.ProblemDocument{
				Type: schemas.ProblemTypePrefix + "invalid-job", Title: "The job specification is not valid", Status: http.StatusUnprocessableEntity,
				Problems: []schemas.Problem{{Pointer: "/files/" + name, Message: "has not been uploaded"}}, Missing: []string{f.SHA256},
			})
			return
		} else if f.SHA256 != "" {
			f.Size = int64(size)
			spec.Files[name] = f
		}
	}
	j := g.newJob(spec)
	g.reply(w, http.StatusAccepted, "job", j.Job)
}

// newJob is called with the lock held.
func (g *Gateway) newJob(spec schemas.JobSpec) *job {
	j := &job{cancelled: make(chan struct{}), script: write(spec)}
	full := spec.WithDefaults()
	j.Job = schemas.Job{
		ID: fmt.Sprintf("j01h8x3vz9k6tqc2n4m5p7%04d", len(g.jobs)+1), Tenant: schemas.SingleTenant, State: schemas.StateQueued,
		Image:  schemas.ImageRef{Reference: "docker.io/library/" + strings.TrimPrefix(spec.Image, "docker.io/library/") + ":1", Digest: digestOf([]byte(spec.Image))},
		Labels: spec.Labels, Lane: full.Lane, Pool: "amd64-strong", Created: epoch, Spec: &full,
	}
	g.jobs = append(g.jobs, j)
	return j
}

func (g *Gateway) withJob(serve func(http.ResponseWriter, *http.Request, *job)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id := r.PathValue("id")
		g.mu.Lock()
		var found *job
		for _, j := range g.jobs {
			if j.ID == id {
				found = j
			}
		}
		g.mu.Unlock()
		if found == nil {
			g.problem(w, http.StatusNotFound, "not-found", "There is no such thing here", fmt.Sprintf("there is no job %q", id), "GET /v1/jobs lists the jobs that there are")
			return
		}
		serve(w, r, found)
	}
}

func (g *Gateway) get(w http.ResponseWriter, r *http.Request, j *job) {
	if r.URL.Query().Get("wait") != "" {
		g.run(r, j)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.reply(w, http.StatusOK, "job", j.Job)
}

func (g *Gateway) cancel(w http.ResponseWriter, _ *http.Request, j *job) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !j.State.Terminal() && !j.Cancelling {
		j.Cancelling = true
		close(j.cancelled)
	}
	g.reply(w, http.StatusAccepted, "job", j.Job)
}

func (g *Gateway) list(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var page schemas.JobList
	before := r.URL.Query().Get("cursor")
	for i := len(g.jobs) - 1; i >= 0; i-- {
		j := g.jobs[i].Job
		if before != "" && j.ID >= before || !selected(r, j) {
			continue
		}
		if len(page.Jobs) == 2 { // small pages, so that every client must turn them
			page.Next = page.Jobs[1].ID
			break
		}
		j.Spec, j.Result, j.Lost = nil, nil, nil
		page.Jobs = append(page.Jobs, j)
	}
	g.reply(w, http.StatusOK, "job-list", page)
}

func selected(r *http.Request, j schemas.Job) bool {
	for _, state := range r.URL.Query()["state"] {
		if state != string(j.State) {
			return false
		}
	}
	for _, label := range r.URL.Query()["label"] {
		k, v, _ := strings.Cut(label, "=")
		if j.Labels[k] != v {
			return false
		}
	}
	return true
}

// run plays the script to its end.
func (g *Gateway) run(r *http.Request, j *job) {
	if j.endless {
		cancelled := j.cancelled
		if j.deaf {
			cancelled = nil
		}
		select {
		case <-cancelled:
		case <-r.Context().Done():
			return
		case <-time.After(j.patience):
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	j.end()
}
