package schemas

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// The JSON Schemas are made of the types' fields, their comments, and the
// rules in jsonschema_rules_test.go. To write them anew:
//
//	UPDATE_SCHEMAS=1 go test ./schemas -run TestJSONSchemasAreCurrent

// node is one JSON Schema, with the keywords that are used here.
type node struct {
	Schema        string     `json:"$schema,omitempty"`
	Title         string     `json:"title,omitempty"`
	Description   string     `json:"description,omitempty"`
	Ref           string     `json:"$ref,omitempty"`
	Type          string     `json:"type,omitempty"`
	Enum          []string   `json:"enum,omitempty"`
	Const         any        `json:"const,omitempty"`
	Default       any        `json:"default,omitempty"`
	Pattern       string     `json:"pattern,omitempty"`
	MinLength     int        `json:"minLength,omitempty"`
	MaxLength     int        `json:"maxLength,omitempty"`
	Encoding      string     `json:"contentEncoding,omitempty"`
	Minimum       any        `json:"minimum,omitempty"`
	Maximum       any        `json:"maximum,omitempty"`
	MultipleOf    any        `json:"multipleOf,omitempty"`
	Items         *node      `json:"items,omitempty"`
	MaxItems      int        `json:"maxItems,omitempty"`
	Properties    properties `json:"properties,omitzero"`
	Required      []string   `json:"required,omitempty"`
	PropertyNames *node      `json:"propertyNames,omitempty"`
	MaxProperties int        `json:"maxProperties,omitempty"`
	Additional    any        `json:"additionalProperties,omitempty"`
	AnyOf         []*node    `json:"anyOf,omitempty"`
	OneOf         []*node    `json:"oneOf,omitempty"`
}

// properties keep the order of the fields.
type properties struct {
	names []string
	nodes map[string]*node
}

func (p properties) IsZero() bool { return len(p.names) == 0 }

func (p properties) MarshalJSON() ([]byte, error) {
	var buf bytes.Buffer
	for i, name := range p.names {
		buf.WriteByte("{,"[min(i, 1)])
		enc := json.NewEncoder(&buf)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(name); err != nil {
			return nil, err
		}
		buf.WriteByte(':')
		if err := enc.Encode(p.nodes[name]); err != nil {
			return nil, err
		}
	}
	buf.WriteByte('}')
	return buf.Bytes(), nil
}

// schemaFile is the name of a type's file: JobSpec → job-spec.json.
func schemaFile(t reflect.Type) string {
	return strings.ToLower(regexp.MustCompile(`([a-z])([A-Z])`).ReplaceAllString(t.Name(), "$1-$2")) + ".json"
}

type generator struct {
	comments map[string]string // Type or Type.Field → comment
	types    map[reflect.Type]*node
}

// document adds the schema of a struct, and of all that it holds.
func (g *generator) document(t reflect.Type) {
	if _, done := g.types[t]; done {
		return
	}
	n := &node{Schema: "https://json-schema.org/draft/2020-12/schema", Title: t.Name(), Description: g.comments[t.Name()], Type: "object"}
	n.Properties.nodes = map[string]*node{}
	g.types[t] = n
	g.fields(n, t)
	if closedDocuments[t] {
		n.Additional = false
	}
	if rule := typeRules[t.Name()]; rule != nil {
		rule(n)
	}
}

func (g *generator) fields(n *node, t reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			g.fields(n, f.Type)
			continue
		}
		p := g.value(f.Type)
		p.Description = g.comments[t.Name()+"."+f.Name]
		if rule := fieldRules[t.Name()+"."+name]; rule != nil {
			rule(p)
		} else if rule := nameRules[name]; rule != nil {
			rule(p)
		}
		n.Properties.names = append(n.Properties.names, name)
		n.Properties.nodes[name] = p
		if options == "" {
			n.Required = append(n.Required, name)
		}
	}
}

func (g *generator) value(t reflect.Type) *node {
	if t == reflect.TypeFor[json.RawMessage]() {
		return &node{} // a rule says which document it is
	}
	switch t.Kind() {
	case reflect.Pointer:
		return g.value(t.Elem())
	case reflect.String:
		return &node{Type: "string"}
	case reflect.Bool:
		return &node{Type: "boolean"}
	case reflect.Int, reflect.Int64:
		return &node{Type: "integer", Minimum: 0}
	case reflect.Float64:
		return &node{Type: "number"}
	case reflect.Slice:
		return &node{Type: "array", Items: g.value(t.Elem())}
	case reflect.Map:
		return &node{Type: "object", Additional: g.value(t.Elem())}
	}
	g.document(t)
	return &node{Ref: schemaFile(t)}
}

// readComments takes the comments from the package's source.
func readComments(t *testing.T) map[string]string {
	t.Helper()
	comments := map[string]string{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok || gen.Tok != token.TYPE {
				continue
			}
			for _, spec := range gen.Specs {
				typeComments(comments, spec.(*ast.TypeSpec), gen.Doc)
			}
		}
	}
	return comments
}

func typeComments(comments map[string]string, spec *ast.TypeSpec, doc *ast.CommentGroup) {
	comments[spec.Name.Name] = plainComment(doc.Text())
	s, ok := spec.Type.(*ast.StructType)
	if !ok {
		return
	}
	for _, f := range s.Fields.List {
		for _, name := range f.Names {
			comments[spec.Name.Name+"."+name.Name] = plainComment(f.Doc.Text() + f.Comment.Text())
		}
	}
}

var commentLink = regexp.MustCompile(`\[(\*?[A-Za-z]+(?:\.[A-Za-z]+)?)\]`)

func plainComment(text string) string {
	return strings.Join(strings.Fields(commentLink.ReplaceAllString(text, "$1")), " ")
}

func TestJSONSchemasAreCurrent(t *testing.T) {
	g := generator{comments: readComments(t), types: map[reflect.Type]*node{}}
	for _, doc := range documentTypes {
		g.document(doc)
	}
	written := map[string]bool{}
	for typ, n := range g.types {
		var buf bytes.Buffer
		enc := json.NewEncoder(&buf)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := enc.Encode(n); err != nil {
			t.Fatal(err)
		}
		name := filepath.Join("jsonschema", schemaFile(typ))
		written[name] = true
		if os.Getenv("UPDATE_SCHEMAS") != "" {
			if err := os.WriteFile(name, buf.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if have, err := os.ReadFile(name); err != nil || !bytes.Equal(have, buf.Bytes()) {
			t.Errorf("%s is not what the types say: run with UPDATE_SCHEMAS=1 (%v)", name, err)
		}
	}
	files, err := filepath.Glob("jsonschema/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if !written[name] {
			t.Errorf("%s belongs to no type", name)
		}
	}
}
