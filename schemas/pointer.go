package schemas

import (
	"fmt"
	"strconv"
	"strings"
)

// MaxProblems bounds how many problems are reported of one document: a megabyte of
// mistakes must not become many megabytes of complaints.
const MaxProblems = 100

// maxPointer cuts a pointer that nobody could read, in bytes.
const maxPointer = 8 * kib

// pointer is a JSON pointer (RFC 6901) under construction; "" is the whole document.
type pointer string

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

func (p pointer) member(name string) pointer { return p + "/" + pointer(pointerEscapes.Replace(name)) }
func (p pointer) item(i int) pointer         { return p + "/" + pointer(strconv.Itoa(i)) }

// problems collects what is wrong with a document, at most [MaxProblems].
type problems struct{ list []Problem }

func (ps *problems) add(at pointer, format string, args ...any) {
	if !ps.full() {
		at = at[:min(len(at), maxPointer)]
		ps.list = append(ps.list, Problem{Pointer: strings.ToValidUTF8(string(at), ""), Message: fmt.Sprintf(format, args...)})
	}
}

func (ps *problems) full() bool { return len(ps.list) >= MaxProblems }

// covers reports whether a problem is listed at p or above it.
func (ps *problems) covers(p string) bool {
	for _, have := range ps.list {
		if rest, ok := strings.CutPrefix(p, have.Pointer); ok && (rest == "" || rest[0] == '/') {
			return true
		}
	}
	return false
}
