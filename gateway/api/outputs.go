package api

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/program-explorer/pe/gateway/jobresult"
	"github.com/program-explorer/pe/internal/archive/atrest"
	"github.com/program-explorer/pe/schemas"
)

// outputs sends all outputs as a tar, or the list of them as JSON.
func (a *API) outputs(w http.ResponseWriter, r *http.Request, tenant string) error {
	record, err := a.record(r, tenant)
	if err != nil {
		return err
	}
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		err = a.sendList(w, r, record)
	} else {
		err = a.sendTar(w, r, record)
	}
	return a.surely(r.Context(), record, err)
}

// sendTar streams the archive, decompressed unless the client takes zstd. It is
// held to its digest on the way; a wrong one breaks the connection before its end.
func (a *API) sendTar(w http.ResponseWriter, r *http.Request, record schemas.Record) error {
	outputs, size, err := a.archiveSize(r.Context(), record)
	if err != nil {
		return err
	}
	markHostile(w.Header(), record.ID+"-outputs.tar", "application/x-tar")
	if outputs == nil {
		w.Header().Set("Content-Length", strconv.Itoa(tarTrailer))
		_, err := w.Write(make([]byte, tarTrailer))
		return err
	}
	w.Header().Set("Cache-Control", "private, no-cache")
	w.Header().Set("Vary", w.Header().Get("Vary")+", Accept-Encoding")
	packs := acceptsZstd(r.Header.Get("Accept-Encoding"))
	if !packs && r.Method != http.MethodHead {
		leave, err := a.answers.enter(r.Context(), w.Header(), record.Tenant, decoderWeight)
		if err != nil {
			return err
		}
		defer leave()
	}
	packed, err := a.objects.Open(r.Context(), outputs.archive.key, outputs.archive.Object)
	if err != nil {
		return err
	}
	defer packed.Close()
	out := newSteadyWriter(w, a.StallTimeout)
	if packs {
		w.Header().Set("Content-Encoding", "zstd")
		w.Header().Set("Content-Length", strconv.FormatInt(outputs.archive.Size, 10))
		return copyOut(out, r, packed)
	}
	plain, err := atrest.TarReader(packed)
	if err != nil {
		return packed.Explain(err)
	}
	defer plain.Close()
	// More than this would be a bomb, less a truncated archive: the length that
	// was announced makes the client notice either.
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	return copyOut(out, r, jobresult.Decoded{Content: packed, From: plain})
}

// archiveSize finds a job's outputs, and how long they are as a plain tar.
func (a *API) archiveSize(ctx context.Context, record schemas.Record) (*outputArchive, int64, error) {
	outputs, index, err := a.archive(ctx, record)
	if outputs == nil || err != nil {
		return nil, 0, err
	}
	return outputs, index.tarSize(), nil
}

// acceptsZstd looks for the coding by name, with any weight but zero.
func acceptsZstd(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		coding, weight, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.EqualFold(strings.TrimSpace(coding), "zstd") {
			q, found := strings.CutPrefix(strings.ReplaceAll(weight, " ", ""), "q=")
			return !found || strings.Trim(q, "0.") != ""
		}
	}
	return false
}
