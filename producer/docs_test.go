package producer_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/program-explorer/pe/producer"
	"github.com/program-explorer/pe/producer/internal/canned"
)

// TestPageHasTheExamples: the code in docs/sdk.md is that of example_test.go, of an
// example what it does.
func TestPageHasTheExamples(t *testing.T) {
	t.Parallel()
	source, page := read(t, "example_test.go"), read(t, "../docs/sdk.md")
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "example_test.go", source, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	at := func(p token.Pos) int { return files.Position(p).Offset }
	shown := 0
	for _, decl := range file.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		code := source[at(f.Doc.Pos()):at(f.End())]
		if strings.HasPrefix(f.Name.Name, "Example") {
			code = strings.ReplaceAll(source[at(f.Body.Lbrace)+1:at(f.Body.Rbrace)], "\n\t", "\n")
		}
		if !strings.Contains(page, "```go\n"+strings.TrimSpace(code)+"\n```") {
			t.Errorf("docs/sdk.md does not have %s", f.Name.Name)
		}
		shown++
	}
	if blocks := strings.Count(page, "```go\n"); blocks != shown {
		t.Errorf("docs/sdk.md has %d blocks of code, example_test.go %d functions", blocks, shown)
	}
}

// TestPageNamesMethods: the table's methods are there.
func TestPageNamesMethods(t *testing.T) {
	t.Parallel()
	_, table, found := strings.Cut(read(t, "../docs/sdk.md"), "| methods of `Client` |\n")
	if !found {
		t.Fatal("docs/sdk.md has no table of methods")
	}
	client := reflect.TypeFor[*producer.Client]()
	for _, name := range regexp.MustCompile("`([A-Z][A-Za-z]+)`").FindAllStringSubmatch(table, -1) {
		if _, ok := client.MethodByName(name[1]); !ok {
			t.Errorf("docs/sdk.md names a method %s", name[1])
		}
	}
}

// TestServerOfThePage: it tells how the job ended, and refuses what is too long.
func TestServerOfThePage(t *testing.T) {
	t.Parallel()
	gateway := canned.Start(t)
	answer := func(program string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		compile(client(t, gateway.URL))(w, httptest.NewRequest(http.MethodPost, "/compile", strings.NewReader(program)))
		return w
	}
	if w := answer("int main(void) {}"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"state":`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := answer(strings.Repeat(" ", 64<<10+1)); w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("a large program: %d %s", w.Code, w.Body)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
