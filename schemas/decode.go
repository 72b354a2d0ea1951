package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// ErrTooLarge is wrapped by the error of every decoder that got more bytes than its document may have.
var ErrTooLarge = errors.New("document is too large")

// SyntaxError says where a document is not JSON. Line and column count from 1, columns in bytes.
type SyntaxError struct {
	Line, Column int
	Message      string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("not JSON: line %d, column %d: %s", e.Line, e.Column, e.Message)
}

// InvalidError lists what is wrong with a document that is JSON, but not what it should be.
type InvalidError struct {
	// What the document should be: "result".
	What     string
	Problems []Problem
}

func (e *InvalidError) Error() string {
	first := e.Problems[0]
	return fmt.Sprintf("%s: %q %s (%d problems)", e.What, first.Pointer, first.Message, len(e.Problems))
}

var jobSpecShape = shapeOf[JobSpec]()

// DecodeJobSpec reads a posted specification of at most [MaxSpecBytes] and
// validates it. It returns every problem at once: unknown, repeated and
// ill-typed members, and all that [JobSpec.Validate] finds; the specification
// may be used only if there are none. The error is [ErrTooLarge], a
// [*SyntaxError], or the reader's.
func DecodeJobSpec(r io.Reader) (JobSpec, []Problem, error) {
	spec, illTyped, err := DecodeJobTemplate(r)
	if err != nil {
		return spec, nil, err
	}
	found, before := problems{illTyped}, problems{illTyped}
	for _, p := range spec.Validate() {
		if !before.covers(p.Pointer) {
			found.add(pointer(p.Pointer), "%s", p.Message)
		}
	}
	return spec, found.list, nil
}

// DecodeJobTemplate is [DecodeJobSpec] without the validation: for a
// specification that is yet to be completed.
func DecodeJobTemplate(r io.Reader) (JobSpec, []Problem, error) {
	var spec JobSpec
	data, err := readAtMost(r, MaxSpecBytes)
	if err != nil {
		return spec, nil, fmt.Errorf("read specification: %w", err)
	}
	found, err := inspect(data, jobSpecShape, false)
	if err != nil {
		return spec, nil, err
	}
	if err := unmarshalSpec(data, &spec); err != nil && len(found.list) == 0 {
		found.add("", "%v", err)
	}
	return spec, found.list, nil
}

// unmarshalSpec decodes as much as it can, so that validation sees all that is
// well typed: encoding/json goes on after a wrong type, but not after one that
// a File's own UnmarshalJSON reports.
func unmarshalSpec(data []byte, spec *JobSpec) error {
	type plain JobSpec
	loose := struct {
		*plain
		Files map[string]json.RawMessage `json:"files"`
	}{plain: (*plain)(spec)}
	err := json.Unmarshal(data, &loose)
	if loose.Files != nil {
		spec.Files = make(map[string]File, len(loose.Files))
	}
	for name, raw := range loose.Files {
		var f File
		err = errors.Join(err, json.Unmarshal(raw, &f))
		spec.Files[name] = f
	}
	return err
}

// readAtMost reads all of r, or fails with [ErrTooLarge].
func readAtMost(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limit)
	}
	return data, nil
}

// inspect finds everything that encoding/json would let pass.
func inspect(data []byte, sh *shape, nulls bool) (*problems, error) {
	if !utf8.Valid(data) {
		at := 0
		for r, n := utf8.DecodeRune(data); r != utf8.RuneError || n > 1; r, n = utf8.DecodeRune(data[at:]) {
			at += n
		}
		return nil, syntaxError(data, at+1, "a byte that is not UTF-8")
	}
	if !json.Valid(data) {
		var raw json.RawMessage
		var bad *json.SyntaxError
		if err := json.Unmarshal(data, &raw); errors.As(err, &bad) {
			return nil, syntaxError(data, int(bad.Offset), bad.Error())
		}
		return nil, syntaxError(data, 1, "no value")
	}
	s := scan{data: data, nulls: nulls}
	s.value(sh)
	return &s.problems, nil
}

// syntaxError counts lines up to the byte before offset, which counts from 1.
func syntaxError(data []byte, offset int, message string) error {
	before := data[:min(max(offset-1, 0), len(data))]
	return &SyntaxError{
		Line:    bytes.Count(before, []byte("\n")) + 1,
		Column:  len(before) - bytes.LastIndexByte(before, '\n'),
		Message: message,
	}
}

// decode is what every decoder but that of a specification does: cap, syntax,
// shape, and the document's own rules.
func decode[T any](what string, data []byte, limit int, sh *shape) (T, error) {
	var v T
	if len(data) > limit {
		return v, fmt.Errorf("decode %s of %d bytes: %w", what, len(data), ErrTooLarge)
	}
	found, err := inspect(data, sh, true)
	if err != nil {
		return v, fmt.Errorf("decode %s: %w", what, err)
	}
	if len(found.list) == 0 {
		if err := json.Unmarshal(data, &v); err != nil {
			return v, fmt.Errorf("decode %s: %w", what, err)
		}
		if d, ok := any(&v).(document); ok {
			d.check(found)
		}
	}
	if len(found.list) > 0 {
		return v, &InvalidError{What: what, Problems: found.list}
	}
	return v, nil
}
