package api

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/schemas"
)

// finish gives a job a result and, if there are any, outputs.
func (h *harness) finish(t *testing.T, id string, result schemas.Result, outputs ...output) {
	t.Helper()
	r, err := h.jobs.Get(t.Context(), schemas.SingleTenant, id)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UnixMicro()
	r.Attempts = []schemas.Attempt{{N: 1, Executor: "box", Nonce: "secret-nonce", ClaimedUS: now, EndedUS: now}}
	result.Version, result.Job, result.Attempt = schemas.ResultVersion, id, 1
	result.RanOn = schemas.RanOn{Executor: "box", Arch: "amd64", Isolation: "vm", ImageDigest: testDigest}
	result.Spans = []schemas.Span{{Name: "queued", StartUS: r.CreatedUS, EndUS: now}}
	if len(outputs) > 0 {
		h.storeOutputs(t, r, &result, outputs)
	} else {
		result.Outputs = []schemas.Output{}
	}
	data, err := json.Marshal(result)
	if err != nil {
		t.Fatal(err)
	}
	object := h.put(t, r, schemas.ObjectResult, data)
	r.Result, r.Archive, r.Outcome = &object, result.Archive, &result.Outcome
	r.State, r.EndedUS = result.Outcome.State(), now
	h.jobs.set(r)
}

func (h *harness) put(t *testing.T, r schemas.Record, name string, data []byte) schemas.Object {
	t.Helper()
	key := schemas.AttemptKey(r.Tenant, r.ID, 1, name)
	if _, err := h.store.Put(t.Context(), key, bytes.NewReader(data), objstore.PutOptions{Size: int64(len(data))}); err != nil {
		t.Fatal(err)
	}
	return objectOf(name, data)
}
