package schemas

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
)

// shape is what a document of a type looks like in JSON. It is made once per
// type from the struct tags, and never changed.
type shape struct {
	kind   shapeKind
	name   string            // "an object", for messages
	fields map[string]*shape // of a struct
	names  []string          // of the fields, sorted
	elem   *shape            // of a list or map
	bits   int               // of an integer
	// orString also allows a string, as [File] does.
	orString bool
}

type shapeKind uint8

const (
	shapeString shapeKind = iota
	shapeBytes            // base64 in a string
	shapeBool
	shapeInt
	shapeFloat
	shapeList
	shapeMap
	shapeStruct
	shapeDocument // a whole document, which has a decoder of its own
)

// shapeOf panics on a type that no document has: that is a defect found by any test.
func shapeOf[T any]() *shape { return newShape(reflect.TypeFor[T](), map[reflect.Type]*shape{}) }

func newShape(t reflect.Type, made map[reflect.Type]*shape) *shape {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if s, ok := made[t]; ok {
		return s
	}
	s := &shape{}
	made[t] = s
	if t == reflect.TypeFor[json.RawMessage]() {
		s.kind, s.name = shapeDocument, "an object"
		return s
	}
	switch t.Kind() {
	case reflect.String:
		s.kind, s.name = shapeString, "a string"
	case reflect.Bool:
		s.kind, s.name = shapeBool, "true or false"
	case reflect.Int, reflect.Int64:
		s.kind, s.name, s.bits = shapeInt, "an integer", t.Bits()
	case reflect.Float64:
		s.kind, s.name = shapeFloat, "a number"
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			s.kind, s.name = shapeBytes, "a string of base64"
			break
		}
		s.kind, s.name, s.elem = shapeList, "a list", newShape(t.Elem(), made)
	case reflect.Map:
		s.kind, s.name, s.elem = shapeMap, "an object", newShape(t.Elem(), made)
	case reflect.Struct:
		s.structOf(t, made)
	default:
		panic("schemas: no JSON shape for " + t.String())
	}
	return s
}

func (s *shape) structOf(t reflect.Type, made map[reflect.Type]*shape) {
	s.kind, s.name, s.fields = shapeStruct, "an object", map[string]*shape{}
	s.addFields(t, made)
	for name := range s.fields {
		s.names = append(s.names, name)
	}
	slices.Sort(s.names)
	if t == reflect.TypeFor[File]() {
		s.orString, s.name = true, "a string or an object"
	}
}

func (s *shape) addFields(t reflect.Type, made map[reflect.Type]*shape) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			s.addFields(f.Type, made)
		case name == "" || name == "-":
			panic("schemas: field without a JSON name: " + t.String() + "." + f.Name)
		default:
			s.fields[name] = newShape(f.Type, made)
		}
	}
}

// find returns where in the document a member of this name belongs, or "".
func (s *shape) find(name string) string {
	if near := nearest(name, s.names); near != "" {
		return near
	}
	for _, outer := range s.names {
		inner := s.fields[outer]
		if inner.kind != shapeStruct {
			continue
		}
		if near := nearest(name, inner.names); near != "" {
			return outer + "." + near
		}
	}
	return ""
}

var _ json.Unmarshaler = (*File)(nil) // what orString stands for
