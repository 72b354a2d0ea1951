package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/program-explorer/pe/gateway/retention"
	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/schemas"
)

const (
	// maxMissingBody holds MaxMissing digests as JSON, with room to spare.
	maxMissingBody = schemas.MaxMissing * 100
	// statsAtOnce is how many objects are looked for at the same time for one request.
	statsAtOnce = 16
	// looksARequest is how many of them count as a request.
	looksARequest = 50
)

// blobSum reads the digest in a path: plain hex or "sha256:" and hex.
func blobSum(s string) (string, bool) {
	s = strings.TrimPrefix(s, schemas.DigestPrefix)
	return s, schemas.ValidSHA256(s)
}

// Inputs are the rules for who stores and uses inputs, so that none is deleted
// that somebody counts on: see [retention.Inputs].
type Inputs interface {
	// Missing reports whether a blob that was uploaded then is to be uploaded again.
	Missing(uploaded time.Time) bool
	// Usable reports whether a submission may name it.
	Usable(uploaded time.Time) bool
	// Until is when what Usable says now was said too long ago.
	Until() time.Time
	// Quiet is asked after a blob was stored: if it is there after that, it stays.
	Quiet(context.Context) error
}

// forever keeps all inputs.
type forever struct{}

func (forever) Missing(time.Time) bool      { return false }
func (forever) Usable(time.Time) bool       { return true }
func (forever) Until() (never time.Time)    { return never }
func (forever) Quiet(context.Context) error { return nil }

// putBlob stores an input under its digest, verified as it streams. The answer
// is 201, or 200 if the tenant has it already; then the body is not read.
func (a *API) putBlob(w http.ResponseWriter, r *http.Request, tenant string) error {
	sum, ok := blobSum(r.PathValue("sha256"))
	if !ok {
		return kindMalformed.problem("the address must end in the SHA-256 of the body, as 64 lower-case hex digits", "")
	}
	key := schemas.InputKey(tenant, sum)
	stored := schemas.Blob{SHA256: schemas.DigestPrefix + sum}
	info, err := a.Store.Stat(r.Context(), key)
	if err == nil && !a.Inputs.Missing(info.ModTime) {
		stored.Size = info.Size
		return writeJSON(w, http.StatusOK, stored)
	}
	if err != nil && !errors.Is(err, objstore.ErrNotFound) {
		return err
	}
	done, full := a.uploads.begin(w.Header(), tenant)
	if full != nil {
		return full
	}
	defer done()
	body := a.newReservedBody(tenant, newSteadyReader(w, r.Body, a.StallTimeout), err == nil)
	size := r.ContentLength // -1 for a body in chunks
	if err := body.reserve(max(size, 0)); err != nil {
		return err
	}
	defer func() { body.settle(stored.Size) }()
	info, err = a.Store.Put(r.Context(), key, body, objstore.PutOptions{Size: size, MaxSize: a.MaxBlobBytes, SHA256: sum})
	if err != nil {
		return body.refusal(uploadError(err))
	}
	stored.Size = info.Size
	stretch(w, a.StallTimeout)
	if err := a.stillThere(r.Context(), key); err != nil {
		return err
	}
	w.Header().Set("Location", "/v1/blobs/"+sum)
	return writeJSON(w, http.StatusCreated, stored)
}

// stillThere makes sure that a sweep, which saw the blob's predecessor, did not take it along.
func (a *API) stillThere(ctx context.Context, key string) error {
	err := a.Inputs.Quiet(ctx)
	if err == nil {
		_, err = a.Store.Stat(ctx, key)
	}
	if errors.Is(err, objstore.ErrNotFound) || errors.Is(err, retention.ErrSweeping) {
		return kindUnavailable.problem("expired inputs are being deleted right now", "send the blob again in a moment")
	}
	return err
}

// uploadError tells the client's faults from ours.
func uploadError(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return kindLength.problem("the body ended early", "")
	}
	return fmt.Errorf("store upload: %w", err)
}

// missingBlobs tells which of the named inputs the tenant has not uploaded. It
// says nothing of other tenants: keys are the tenant's own.
func (a *API) missingBlobs(w http.ResponseWriter, r *http.Request, tenant string) error {
	var req schemas.MissingRequest
	if err := decodeStrict(r.Body, &req); err != nil {
		return err
	}
	if len(req.SHA256) > schemas.MaxMissing {
		return kindMalformed.problemf("%d digests; at most %d in one request", len(req.SHA256), schemas.MaxMissing)
	}
	var problems []schemas.Problem
	for i, s := range req.SHA256 {
		if _, err := schemas.ParseDigest(s); err != nil {
			problems = append(problems, schemas.Problem{Pointer: fmt.Sprintf("/sha256/%d", i), Message: "want sha256: and 64 lower-case hex digits"})
		}
	}
	if len(problems) > 0 {
		p := kindMalformed.problemf("%d of the digests are malformed", len(problems))
		p.Problems = problems[:min(len(problems), schemas.MaxProblems)]
		return p
	}
	a.charge(w, r, len(req.SHA256)/looksARequest)
	sizes, err := a.blobSizes(r.Context(), tenant, req.SHA256, func(uploaded time.Time) bool { return !a.Inputs.Missing(uploaded) })
	if err != nil {
		return err
	}
	reply := schemas.MissingReply{Missing: []string{}}
	for _, s := range req.SHA256 {
		if sizes[s] < 0 {
			reply.Missing = append(reply.Missing, s)
			sizes[s] = 0 // once each
		}
	}
	return writeJSON(w, http.StatusOK, reply)
}

// blobSizes looks the digests up at once; the size is -1 where there is no such
// blob, or one that was uploaded too long ago to be good.
func (a *API) blobSizes(ctx context.Context, tenant string, digests []string, good func(uploaded time.Time) bool) (map[string]int64, error) {
	distinct := slices.Compact(slices.Sorted(slices.Values(digests)))
	found := make([]int64, len(distinct))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(statsAtOnce)
	for i, digest := range distinct {
		group.Go(func() error {
			sum, _ := blobSum(digest)
			info, err := a.Store.Stat(ctx, schemas.InputKey(tenant, sum))
			found[i] = info.Size
			if errors.Is(err, objstore.ErrNotFound) || err == nil && !good(info.ModTime) {
				found[i], err = -1, nil
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("look for inputs: %w", err)
	}
	sizes := make(map[string]int64, len(distinct))
	for i, digest := range distinct {
		sizes[digest] = found[i]
	}
	return sizes, nil
}
