package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/program-explorer/pe/gateway/jobresult"
	"github.com/program-explorer/pe/internal/archive/atrest"
	"github.com/program-explorer/pe/schemas"
)

const (
	// listWeight is what sending a list takes, however long it is; hardLinkWeight is
	// what each hard link in it adds.
	listWeight     = 256 << 10
	hardLinkWeight = 256
)

// sendList sends the list of a job's outputs as JSON. A list may be as large as all
// other answers together, and its reader slow: it is read from the store once
// more while it is sent, entry by entry.
func (a *API) sendList(w http.ResponseWriter, r *http.Request, record schemas.Record) error {
	outputs, shared, err := a.hardLinks(r.Context(), record)
	if err != nil {
		return err
	}
	if outputs == nil {
		return writeJSON(w, http.StatusOK, schemas.OutputList{Outputs: []schemas.Output{}})
	}
	leave, err := a.answers.enter(r.Context(), w.Header(), record.Tenant, listWeight+int64(len(shared))*hardLinkWeight)
	if err != nil {
		return err
	}
	defer leave()
	content, err := a.objects.Open(r.Context(), outputs.index.key, outputs.index.Object)
	if err != nil {
		return err
	}
	defer content.Close()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if r.Method == http.MethodHead {
		return nil
	}
	return copyList(newSteadyWriter(w, a.StallTimeout), content, shared)
}

// hardLinks finds a job's outputs, and of each hard link among them, by its place, the file that it shares.
func (a *API) hardLinks(ctx context.Context, record schemas.Record) (*outputArchive, map[int]atrest.Entry, error) {
	outputs, index, err := a.archive(ctx, record)
	if outputs == nil || err != nil {
		return nil, nil, err
	}
	shared := map[int]atrest.Entry{}
	for i, e := range index.Entries {
		if e.Type == atrest.TypeHardlink {
			file, _ := index.find(e.Name())
			shared[i] = atrest.Entry{Type: file.Type, Size: file.Size, SHA256: file.SHA256, MediaType: file.MediaType}
		}
	}
	return outputs, shared, nil
}

// copyList writes an index as clients see it. It comes to its end only if the index is what was stored.
func copyList(w io.Writer, content *jobresult.Content, shared map[int]atrest.Entry) error {
	out := bufio.NewWriterSize(w, 32<<10)
	out.WriteString(`{"outputs":[`)
	i := 0
	for e, err := range atrest.Entries(content) {
		if err != nil {
			return content.Explain(err)
		}
		file, linked := shared[i]
		if !linked {
			file = e
		}
		line, err := json.Marshal(outputOf(e, file))
		if err != nil {
			return fmt.Errorf("encode answer: %w", err)
		}
		if i++; i > 1 {
			out.WriteByte(',')
		}
		if _, err := out.Write(line); err != nil {
			return fmt.Errorf("send: %w", err)
		}
	}
	if _, err := io.Copy(io.Discard, content); err != nil {
		return err
	}
	out.WriteString("]}")
	if err := out.Flush(); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return nil
}

// outputOf is an entry as clients see it, given the file that has its content: where
// the bytes lie is left out.
func outputOf(e, file atrest.Entry) schemas.Output {
	o := schemas.Output{
		Path: e.Path, PathBase64: e.PathBase64, Type: file.Type, Size: file.Size, Mode: fmt.Sprintf("%04o", e.Mode),
		SHA256: file.SHA256, MediaType: file.MediaType,
	}
	if e.Type == atrest.TypeSymlink {
		o.Link = e.Link
	}
	return o
}
