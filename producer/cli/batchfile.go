package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/program-explorer/pe/schemas"
)

// batchJob is a job of a batch's file.
type batchJob struct {
	// line is where it begins, from 1.
	line int
	spec schemas.JobSpec
	// problems say why it is no specification.
	problems []schemas.Problem
}

// refusal is what the gateway would answer to job i.
func (j batchJob) refusal(i int) *schemas.ProblemDocument {
	return &schemas.ProblemDocument{
		Type: schemas.ProblemTypePrefix + "invalid-job", Title: titleInvalid, Status: http.StatusUnprocessableEntity,
		Problems: schemas.InBatch(i, j.problems),
	}
}

// readBatch reads specifications: a JSON array of them, or one after the other.
// With each, one that is wrong has problems; without, that is an error.
func (a *app) readBatch(name string, each bool) ([]batchJob, error) {
	f, err := a.readable(name)
	if err != nil {
		return nil, fmt.Errorf("read batch: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, schemas.MaxBatchBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read batch: %w", err)
	}
	documents, err := documentsOf(data, each)
	if err != nil {
		return nil, usage(fmt.Errorf("batch %s: %w", name, err))
	}
	jobs := make([]batchJob, len(documents))
	var problems []schemas.Problem
	for i, document := range documents {
		jobs[i] = document.job()
		problems = append(problems, schemas.InBatch(i, jobs[i].problems)...)
	}
	if len(problems) > 0 && !each {
		return nil, specProblems(problems[:min(len(problems), schemas.MaxProblems)])
	}
	return jobs, nil
}

// document is what stands for one job in a file.
type document struct {
	line int
	text json.RawMessage
}

func (d document) job() batchJob {
	spec, problems, err := schemas.DecodeJobTemplate(bytes.NewReader(d.text))
	var bad *schemas.SyntaxError
	switch {
	case errors.As(err, &bad):
		bad.Line += d.line - 1
		problems = []schemas.Problem{{Message: bad.Error()}}
	case err != nil:
		problems = []schemas.Problem{{Message: err.Error()}}
	}
	return batchJob{line: d.line, spec: spec, problems: problems}
}

// documentsOf takes a batch's file apart. With each, a line that is no JSON is a
// document, too, if the file has a document in each line.
func documentsOf(data []byte, each bool) ([]document, error) {
	if len(data) > schemas.MaxBatchBytes {
		return nil, fmt.Errorf("%w: more than %d bytes", schemas.ErrTooLarge, schemas.MaxBatchBytes)
	}
	documents, err := walk(data)
	if err != nil && each {
		if lines := linesOf(data); len(lines) > 0 {
			documents, err = lines, nil
		}
	}
	if n := len(documents); err == nil && (n == 0 || n > schemas.MaxBatchJobs) {
		err = fmt.Errorf("it has %d jobs; want 1 to %d", n, schemas.MaxBatchJobs)
	}
	return documents, err
}

// walk takes documents one after the other, or the elements of an array.
func walk(data []byte) (documents []document, err error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	array := bytes.HasPrefix(bytes.TrimSpace(data), []byte("["))
	if array {
		if _, err := dec.Token(); err != nil {
			return nil, err
		}
	}
	line, counted := 1, int64(0)
	for dec.More() {
		rest := data[dec.InputOffset():]
		start := dec.InputOffset() + int64(len(rest)-len(bytes.TrimLeft(rest, " \t\r\n,")))
		line += bytes.Count(data[counted:start], []byte("\n"))
		counted = start
		next := document{line: line}
		if err := dec.Decode(&next.text); err != nil {
			return nil, fmt.Errorf("line %d: not JSON: %w", line, unexpectedEnd(err))
		}
		documents = append(documents, next)
	}
	if array {
		if _, err := dec.Token(); err != nil {
			return nil, fmt.Errorf("line %d: not JSON: %w", line, unexpectedEnd(err))
		}
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("line %d: something follows that is no job", line)
	}
	return documents, nil
}

// unexpectedEnd says that a document is cut.
func unexpectedEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// linesOf are the lines with something in them. There are none if a document may
// go over several: a piece of one could look like a job that nobody wanted.
func linesOf(data []byte) (lines []document) {
	n := 0
	for text := range bytes.Lines(data) {
		n++
		if len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		if strings.IndexByte(" \t[]}", text[0]) >= 0 {
			return nil
		}
		lines = append(lines, document{line: n, text: bytes.TrimSpace(text)})
	}
	return lines
}
