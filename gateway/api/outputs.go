package api

import (
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
	return a.surely(r.Context(), record, a.sendOutputs(w, r, record))
}

func (a *API) sendOutputs(w http.ResponseWriter, r *http.Request, record schemas.Record) error {
	outputs, err := a.archive(r.Context(), record)
	if err != nil {
		return err
	}
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		list := schemas.OutputList{Outputs: []schemas.Output{}}
		if outputs != nil {
			list.Outputs = outputs.index.list()
		}
		return writeJSON(newSteadyWriter(w, a.StallTimeout), http.StatusOK, list)
	}
	markHostile(w.Header(), record.ID+"-outputs.tar", "application/x-tar")
	if outputs == nil {
		w.Header().Set("Content-Length", strconv.Itoa(tarTrailer))
		_, err := w.Write(make([]byte, tarTrailer))
		return err
	}
	return a.sendTar(w, r, outputs)
}

// sendTar streams the archive, decompressed unless the client takes zstd. It is
// held to its digest on the way; a wrong one breaks the connection before its end.
func (a *API) sendTar(w http.ResponseWriter, r *http.Request, outputs *outputArchive) error {
	w.Header().Set("Cache-Control", "private, no-cache")
	w.Header().Set("Vary", w.Header().Get("Vary")+", Accept-Encoding")
	packed, err := a.objects.Open(r.Context(), outputs.key, outputs.object)
	if err != nil {
		return err
	}
	defer packed.Close()
	out := newSteadyWriter(w, a.StallTimeout)
	if acceptsZstd(r.Header.Get("Accept-Encoding")) {
		w.Header().Set("Content-Encoding", "zstd")
		w.Header().Set("Content-Length", strconv.FormatInt(outputs.object.Size, 10))
		return copyOut(out, r, packed)
	}
	plain, err := atrest.TarReader(packed)
	if err != nil {
		return packed.Explain(err)
	}
	defer plain.Close()
	// More than this would be a bomb, less a truncated archive: the length that
	// was announced makes the client notice either.
	w.Header().Set("Content-Length", strconv.FormatInt(outputs.index.tarSize(), 10))
	return copyOut(out, r, jobresult.Decoded{Content: packed, From: plain})
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
