package api

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/program-explorer/pe/schemas"
)

// Bounds of the memory of large answers that are under way at this gateway, in
// bytes. A client may take its time, and all that its answer needs stays as long.
const (
	// answerBytes are those of all tenants.
	answerBytes = 4 * tenantAnswerBytes
	// tenantAnswerBytes are those of one.
	tenantAnswerBytes = 128 << 20
	// smallAnswer is what an answer may need without room being asked for.
	smallAnswer = 32 << 10
	// decoderWeight is what decompressing takes: its window, 8 MiB at most, and some blocks.
	decoderWeight = 9 << 20
	// encodedWeight is how many times its size at rest a document takes at most:
	// decoded, and encoded anew, where a byte may become six.
	encodedWeight = 8
)

func newAnswerRoom() *room {
	return newRoom(tenantAnswerBytes, answerBytes,
		kindManyDownloads.problem("so much is being sent to the tenant already", "read fewer large answers at once, and read them faster"),
		kindBusy.problem("so many large answers are under way already", "try again in a moment"))
}

// jobWeight is what a job's document takes: specification and result are as large as
// the record says, or are lost.
func jobWeight(r schemas.Record) (weight int64) {
	if r.SpecInline == nil {
		weight += min(r.Spec.Size, maxStoredSpec)
	}
	if r.HasResult() && r.ResultInline == nil {
		weight += min(r.Result.Size, schemas.MaxResultBytes)
	}
	if weight <= smallAnswer {
		return 0
	}
	return encodedWeight * weight
}

// writeLarge is writeJSON for what may be a large document: that takes room until it is sent.
func (a *API) writeLarge(w http.ResponseWriter, r *http.Request, tenant string, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	if len(body) > smallAnswer {
		leave, err := a.answers.tryEnter(r.Context(), w.Header(), tenant, int64(len(body)))
		if err != nil {
			return err
		}
		defer leave()
	}
	return writeBody(w, http.StatusOK, body)
}
