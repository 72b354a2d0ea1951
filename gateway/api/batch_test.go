package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/program-explorer/pe/schemas"
)

const goodJob = `{"image":"gcc","args":["true"]}`

func batchBody(mode string, jobs ...string) string {
	return fmt.Sprintf(`{"mode":%q,"jobs":[%s]}`, mode, strings.Join(jobs, ","))
}

func TestBatchIsTaken(t *testing.T) {
	t.Parallel()
	h := start(t)
	for _, mode := range schemas.BatchModes {
		reply := ask[schemas.BatchReply](t, h, http.StatusAccepted, "POST", "/v1/jobs:batch", batchBody(mode, goodJob, goodJob))
		for i, item := range reply.Jobs {
			if item.Job == nil || item.Problem != nil || item.Job.State != schemas.StateQueued {
				t.Errorf("%s: item %d: %+v", mode, i, item)
			}
		}
		if len(reply.Jobs) != 2 {
			t.Errorf("%s: %d items", mode, len(reply.Jobs))
		}
	}
}

func TestBatchAllOrNone(t *testing.T) {
	t.Parallel()
	h := start(t)
	body := batchBody(schemas.BatchAll, goodJob, `{"image":"gcc","args":["\u0000"]}`, goodJob, `{"imag":"gcc"}`)
	p := h.refused(t, kindInvalid, "POST", "/v1/jobs:batch", body)
	var pointers []string
	for _, problem := range p.Problems {
		pointers = append(pointers, problem.Pointer)
	}
	if got := strings.Join(pointers, " "); got != "/jobs/1/args/0 /jobs/3/imag /jobs/3/image" {
		t.Errorf("problems at %s", got)
	}
	if list := ask[schemas.JobList](t, h, http.StatusOK, "GET", "/v1/jobs", ""); len(list.Jobs) != 0 {
		t.Errorf("%d jobs of a batch that was refused", len(list.Jobs))
	}
}

func TestBatchEach(t *testing.T) {
	t.Parallel()
	h := start(t)
	body := batchBody(schemas.BatchEach, `{"image":"gcc","lane":"x"}`, goodJob)
	reply := ask[schemas.BatchReply](t, h, http.StatusAccepted, "POST", "/v1/jobs:batch", body)
	if len(reply.Jobs) != 2 || reply.Jobs[0].Problem == nil || reply.Jobs[1].Job == nil {
		t.Fatalf("reply %+v", reply)
	}
	if p := reply.Jobs[0].Problem; p.Status != kindInvalid.status || p.Problems[0].Pointer != "/jobs/0/lane" {
		t.Errorf("problem %+v", p)
	}
}

func TestBatchThatIsNone(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.refused(t, kindInvalid, "POST", "/v1/jobs:batch", `{"jobs":[]}`)
	h.refused(t, kindInvalid, "POST", "/v1/jobs:batch", batchBody("some", goodJob))
	h.refused(t, kindMalformed, "POST", "/v1/jobs:batch", `{"jobs":`)
}

// The store is asked for so many blobs at once and for no more.
func TestABatchNamesManyBlobs(t *testing.T) {
	t.Parallel()
	h := start(t)
	var jobs []string
	for i := range maxBlobsAtOnce/schemas.MaxFiles + 1 {
		var files []string
		for k := range schemas.MaxFiles {
			files = append(files, fmt.Sprintf(`"f%d":{"sha256":"sha256:%064x"}`, k, i*schemas.MaxFiles+k))
		}
		jobs = append(jobs, `{"image":"gcc","files":{`+strings.Join(files, ",")+`}}`)
	}
	for _, mode := range schemas.BatchModes {
		h.refused(t, kindTooLarge, "POST", "/v1/jobs:batch", batchBody(mode, jobs...))
	}
	// The same ones again are no more.
	h.refused(t, kindInvalid, "POST", "/v1/jobs:batch", batchBody(schemas.BatchAll, slices.Repeat(jobs[:1], len(jobs))...))
}
