package schemas

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// compiled returns a document's JSON Schema.
func compiled(t testing.TB, file string) *jsonschema.Schema {
	t.Helper()
	s, err := jsonschema.NewCompiler().Compile("jsonschema/" + file)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func parsed(t testing.TB, data []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestGoldenSamples holds samples, types and schemas together: every sample is
// valid by its schema, is decoded strictly, breaks none of its type's own
// rules, and comes out of the encoder as it went in.
func TestGoldenSamples(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for _, typ := range documentTypes {
		base := strings.TrimSuffix(schemaFile(typ), ".json")
		samples, err := filepath.Glob("testdata/golden/" + base + ".*.json")
		if err != nil || len(samples) == 0 {
			t.Errorf("%s has no sample (%v)", typ, err)
		}
		for _, sample := range samples {
			used[sample] = true
			t.Run(filepath.Base(sample), func(t *testing.T) { checkSample(t, sample, typ) })
		}
	}
	all, err := filepath.Glob("testdata/golden/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, sample := range all {
		if !used[sample] {
			t.Errorf("%s is of no known type", sample)
		}
	}
}

func checkSample(t *testing.T, sample string, typ reflect.Type) {
	data, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	if err := compiled(t, schemaFile(typ)).Validate(parsed(t, data)); err != nil {
		t.Errorf("not valid by its schema: %v", err)
	}
	found, err := inspect(data, newShape(typ, map[reflect.Type]*shape{}), false)
	if err != nil || len(found.list) > 0 {
		t.Fatalf("not decoded: %v %v", err, found)
	}
	v := reflect.New(typ)
	if err := json.Unmarshal(data, v.Interface()); err != nil {
		t.Fatal(err)
	}
	switch d := v.Interface().(type) {
	case document:
		d.check(found)
	case interface{ Validate() []Problem }:
		found.list = append(found.list, d.Validate()...)
	}
	if len(found.list) > 0 {
		t.Errorf("breaks its rules: %v", found.list)
	}
	encoded, err := json.Marshal(v.Interface())
	if err != nil {
		t.Fatal(err)
	}
	if want, got := canonical(t, data), canonical(t, encoded); want != got {
		t.Errorf("re-encoded:\n%s\nwant:\n%s", got, want)
	}
}

func canonical(t *testing.T, data []byte) string {
	t.Helper()
	encoded, err := json.MarshalIndent(parsed(t, data), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(encoded)
}

// TestSamplesCoverEveryField: a field that no sample has is a field whose JSON nobody looked at.
func TestSamplesCoverEveryField(t *testing.T) {
	t.Parallel()
	for _, typ := range documentTypes {
		base := strings.TrimSuffix(schemaFile(typ), ".json")
		samples, err := filepath.Glob("testdata/golden/" + base + ".*.json")
		if err != nil {
			t.Fatal(err)
		}
		seen := map[*shape]map[string]bool{}
		root := newShape(typ, map[reflect.Type]*shape{})
		for _, sample := range samples {
			data, err := os.ReadFile(sample)
			if err != nil {
				t.Fatal(err)
			}
			note(seen, root, parsed(t, data))
		}
		for sh, names := range seen {
			// What a specification may hold is covered by its own samples.
			if typ != reflect.TypeFor[JobSpec]() && slices.Contains(sh.names, "entrypoint") {
				continue
			}
			for _, name := range sh.names {
				// The parts of a document are covered by samples of their own type.
				if !names[name] && (sh == root || typ == reflect.TypeFor[JobSpec]()) {
					t.Errorf("no sample of %s has %s of %v", base, name, sh.names)
				}
			}
		}
	}
}

func note(seen map[*shape]map[string]bool, sh *shape, v any) {
	switch v := v.(type) {
	case map[string]any:
		if sh.kind == shapeStruct && seen[sh] == nil {
			seen[sh] = map[string]bool{}
		}
		for name, inner := range v {
			if sh.kind == shapeMap {
				note(seen, sh.elem, inner)
				continue
			}
			if sh.kind == shapeDocument {
				return
			}
			seen[sh][name] = true
			note(seen, sh.fields[name], inner)
		}
	case []any:
		for _, inner := range v {
			note(seen, sh.elem, inner)
		}
	}
}

// TestSchemasHaveEveryField reads the files, not the generator: every field of
// a type is a property, and the other way round; what is left out when empty is
// not required, and all else is.
func TestSchemasHaveEveryField(t *testing.T) {
	t.Parallel()
	seen := map[reflect.Type]bool{}
	for _, typ := range documentTypes {
		checkProperties(t, typ, seen)
	}
	files, err := filepath.Glob("jsonschema/*.json")
	if err != nil || len(files) != len(seen) {
		t.Errorf("%d schemas for %d types (%v)", len(files), len(seen), err)
	}
}

func checkProperties(t *testing.T, typ reflect.Type, seen map[reflect.Type]bool) {
	for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice || typ.Kind() == reflect.Map {
		typ = typ.Elem()
	}
	if typ.Kind() != reflect.Struct || seen[typ] {
		return
	}
	seen[typ] = true
	data, err := os.ReadFile("jsonschema/" + schemaFile(typ))
	if err != nil {
		t.Error(err)
		return
	}
	var doc struct {
		Properties map[string]any
		Required   []string
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Error(err)
	}
	var names, required []string
	for _, f := range reflect.VisibleFields(typ) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			continue
		}
		names = append(names, name)
		if !strings.Contains(options, "omit") {
			required = append(required, name)
		}
		checkProperties(t, f.Type, seen)
	}
	slices.Sort(names)
	slices.Sort(required)
	slices.Sort(doc.Required)
	if have := sortedKeys(doc.Properties); !slices.Equal(have, names) {
		t.Errorf("%s: properties %v, fields %v", typ, have, names)
	}
	if !slices.Equal(doc.Required, required) {
		t.Errorf("%s: required %v, fields that are always there %v", typ, doc.Required, required)
	}
}

func TestJSONSchemaComponents(t *testing.T) {
	t.Parallel()
	components, err := JSONSchemaComponents("#/components/schemas/")
	if err != nil {
		t.Fatal(err)
	}
	all, err := json.Marshal(map[string]any{"components": map[string]any{"schemas": components}})
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("urn:all", parsed(t, all)); err != nil {
		t.Fatal(err)
	}
	for _, typ := range documentTypes {
		if _, err := compiler.Compile("urn:all#/components/schemas/" + typ.Name()); err != nil {
			t.Errorf("%s: %v", typ, err)
		}
	}
}
