package api

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
)

// decodeStrict reads one small JSON document: no unknown members, nothing
// behind it. Specifications have a decoder of their own that points at every mistake.
func decodeStrict(r io.Reader, v any) error {
	dec := json.NewDecoder(r)
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return notJSON(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return kindMalformed.problem("there is more than one JSON document in the body", "")
	}
	return nil
}

// notJSON explains a decoding error; errors of reading, such as too large a body, pass.
func notJSON(err error) error {
	var syntax *json.SyntaxError
	var mistyped *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax), errors.As(err, &mistyped), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		strings.HasPrefix(err.Error(), "json: "):
		return kindMalformed.problem(strings.TrimPrefix(err.Error(), "json: "), "")
	}
	return err
}

// escapePointer makes a name a part of a JSON pointer.
func escapePointer(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
