package schemas

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxDepth bounds how deep a document may be nested. Ours need 7.
const MaxDepth = 32

// scan walks a document beside its shape and lists what encoding/json would
// let pass or would report one at a time: unknown and repeated members, other
// spellings of a member's name, nulls, wrong types, and half surrogates, which
// would silently become U+FFFD.
//
// The document has passed json.Valid, so the walk needs no error handling.
type scan struct {
	data []byte
	at   int
	// path is where the walk is. A pointer is made of it only for a problem: made
	// at each step, a long name above many members would cost their product.
	path []step
	problems
	// nulls allows null for a list or map: Go writes an empty one so.
	nulls bool
}

// step is a member's name, or an item's index.
type step struct {
	name  string
	index int // -1 for a member
}

// complain adds a problem here.
func (s *scan) complain(format string, args ...any) {
	if s.full() {
		return
	}
	var p pointer
	for _, st := range s.path {
		if st.index >= 0 {
			p = p.item(st.index)
		} else {
			p = p.member(st.name)
		}
	}
	s.add(p, format, args...)
}

func (s *scan) value(sh *shape) {
	s.space()
	start := s.at
	if len(s.path) > MaxDepth {
		s.complain("is nested more than %d deep", MaxDepth)
		s.at = len(s.data)
		return
	}
	switch c := s.data[s.at]; {
	case c == '{' && sh != nil && sh.kind == shapeStruct, c == '{' && sh != nil && sh.kind == shapeMap:
		s.object(sh)
	case c == '[' && sh != nil && sh.kind == shapeList:
		s.list(sh.elem)
	case c == '{' && sh != nil && sh.kind == shapeDocument:
		s.object(nil)
	case c == '{':
		s.mismatch(sh, "an object")
		s.object(nil)
	case c == '[':
		s.mismatch(sh, "a list")
		s.list(nil)
	case c == '"':
		s.text()
		if sh != nil && sh.kind != shapeString && sh.kind != shapeBytes && !sh.orString {
			s.mismatch(sh, "a string")
		}
	default:
		s.literal(sh, start)
	}
}

func (s *scan) mismatch(sh *shape, got string) {
	if sh != nil {
		s.complain("want %s, not %s", sh.name, got)
	}
}

// object walks an object; without a shape it only looks for repeated members.
func (s *scan) object(sh *shape) {
	seen := map[string]bool{}
	for s.at++; s.more('}'); {
		name := s.text()
		s.space()
		s.at++ // the colon
		s.path = append(s.path, step{name, -1})
		if seen[name] {
			s.complain("is there twice")
		}
		seen[name] = true
		var inner *shape
		switch {
		case sh == nil:
		case sh.kind == shapeMap:
			inner = sh.elem
		default:
			if inner = sh.fields[name]; inner == nil {
				s.unknown(sh, name)
			}
		}
		s.value(inner)
		s.path = s.path[:len(s.path)-1]
	}
}

func (s *scan) unknown(sh *shape, name string) {
	if s.full() {
		return
	}
	if place := sh.find(name); place != "" {
		s.complain("is unknown; did you mean %s?", place)
		return
	}
	s.complain("is unknown; known here: %s", strings.Join(sh.names, ", "))
}

func (s *scan) list(elem *shape) {
	i := 0
	for s.at++; s.more(']'); i++ {
		s.path = append(s.path, step{index: i})
		s.value(elem)
		s.path = s.path[:len(s.path)-1]
	}
}

// more moves to the next member or item, or past the end of the list or object.
func (s *scan) more(end byte) bool {
	s.space()
	if s.at < len(s.data) && s.data[s.at] == ',' {
		s.at++
		s.space()
	}
	if s.at >= len(s.data) {
		return false
	}
	if s.data[s.at] == end {
		s.at++
		return false
	}
	return true
}

func (s *scan) space() {
	for s.at < len(s.data) && strings.IndexByte(" \t\r\n", s.data[s.at]) >= 0 {
		s.at++
	}
}

// text returns the string that begins here.
func (s *scan) text() string {
	start := s.at
	escaped := false
	for s.at++; s.data[s.at] != '"'; s.at++ {
		if s.data[s.at] == '\\' {
			escaped = true
			s.at++
		}
	}
	s.at++
	raw := s.data[start:s.at]
	if !escaped {
		return string(raw[1 : len(raw)-1])
	}
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return ""
	}
	if strings.ContainsRune(text, utf8.RuneError) && halfSurrogate(raw) {
		s.complain(`holds half of a \u surrogate pair: use base64 for what is not text`)
	}
	return text
}

// halfSurrogate reports whether raw, a valid JSON string, has a \uD8xx escape without its other half.
func halfSurrogate(raw []byte) bool {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		i++
		if raw[i] != 'u' {
			continue
		}
		switch unit := hexUnit(raw[i+1:]); {
		case unit < 0xd800 || unit > 0xdfff:
			i += 4
		case unit < 0xdc00 && raw[i+5] == '\\' && raw[i+6] == 'u' && hexUnit(raw[i+7:])&^0x3ff == 0xdc00:
			i += 10
		default:
			return true
		}
	}
	return false
}

func hexUnit(digits []byte) uint64 {
	n, err := strconv.ParseUint(string(digits[:4]), 16, 16)
	if err != nil {
		return 0
	}
	return n
}

// literal checks a number, true, false or null.
func (s *scan) literal(sh *shape, start int) {
	for s.at < len(s.data) && strings.IndexByte(",]} \t\r\n", s.data[s.at]) < 0 {
		s.at++
	}
	if sh == nil {
		return
	}
	raw := string(s.data[start:s.at])
	switch {
	case raw == "null":
		if !s.nulls || sh.kind != shapeList && sh.kind != shapeMap && sh.kind != shapeBytes {
			s.complain("want %s, not null: leave the member out instead", sh.name)
		}
	case raw == "true" || raw == "false":
		if sh.kind != shapeBool {
			s.mismatch(sh, raw)
		}
	case sh.kind == shapeInt:
		if _, err := strconv.ParseInt(raw, 10, sh.bits); err != nil {
			s.complain("want a whole number of at most 19 digits, without fraction or exponent, not %.40s", raw)
		}
	case sh.kind == shapeFloat:
		if _, err := strconv.ParseFloat(raw, 64); err != nil {
			s.complain("want a number that fits in 64 bits, not %.40s", raw)
		}
	default:
		s.mismatch(sh, "a number")
	}
}
