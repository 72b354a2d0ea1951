package schemas

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"
)

//go:embed jsonschema/*.json
var jsonSchemas embed.FS

// JSONSchemas holds one JSON Schema (2020-12) for each document, in files such
// as job-spec.json, which refer to each other by these names. They are
// generated from the types; see the package's tests.
func JSONSchemas() fs.FS {
	sub, err := fs.Sub(jsonSchemas, "jsonschema")
	if err != nil {
		panic("schemas: embedded folder: " + err.Error())
	}
	return sub
}

// JSONSchemaComponents returns the schemas by the names of their types, such as
// JobSpec, with references that begin with prefix: "#/components/schemas/"
// makes them components of an OpenAPI 3.1 document.
func JSONSchemaComponents(prefix string) (map[string]json.RawMessage, error) {
	files, err := fs.Glob(JSONSchemas(), "*.json")
	if err != nil {
		return nil, fmt.Errorf("list schemas: %w", err)
	}
	documents, titles := map[string]map[string]any{}, map[string]string{}
	for _, name := range files {
		data, err := fs.ReadFile(JSONSchemas(), name)
		if err != nil {
			return nil, fmt.Errorf("read schema: %w", err)
		}
		var doc map[string]any
		if err := json.Unmarshal(data, &doc); err != nil {
			return nil, fmt.Errorf("read schema %s: %w", name, err)
		}
		title, _ := doc["title"].(string)
		documents[title], titles[name] = doc, title
	}
	components := make(map[string]json.RawMessage, len(documents))
	for title, doc := range documents {
		delete(doc, "$schema")
		pointRefs(doc, prefix, titles)
		if components[title], err = json.Marshal(doc); err != nil {
			return nil, fmt.Errorf("encode schema %s: %w", title, err)
		}
	}
	return components, nil
}

// pointRefs replaces references to files by references to types.
func pointRefs(v any, prefix string, titles map[string]string) {
	switch v := v.(type) {
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok && strings.HasSuffix(ref, ".json") {
			v["$ref"] = prefix + titles[ref]
		}
		for _, inner := range v {
			pointRefs(inner, prefix, titles)
		}
	case []any:
		for _, inner := range v {
			pointRefs(inner, prefix, titles)
		}
	}
}
