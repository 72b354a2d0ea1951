package api

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/program-explorer/pe/gateway/coordinator"
)

// answeredElsewhere are errors that never come to [problemOf], and why.
var answeredElsewhere = map[string]string{
	"coordinator.ErrEnded": "the answer is the job as it is",
}

// TestEveryErrorIsAProblem: an exported error of the packages behind the API is
// something that a user is told of, in the user's words.
func TestEveryErrorIsAProblem(t *testing.T) {
	t.Parallel()
	table, err := os.ReadFile("problems.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, pkg := range []string{"access", "campaign", "coordinator", "retention", "webhook"} {
		for _, name := range exportedErrors(t, filepath.Join("..", pkg)) {
			found++
			name = pkg + "." + name
			if !strings.Contains(string(table), "{err: "+name+",") && answeredElsewhere[name] == "" {
				t.Errorf("%s is no problem that a user is told of", name)
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d errors were found", found)
	}
}

func exportedErrors(t *testing.T, dir string) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		file, err := parser.ParseFile(gotoken.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			of, ok := decl.(*ast.GenDecl)
			if !ok || of.Tok != gotoken.VAR {
				continue
			}
			for _, spec := range of.Specs {
				for _, name := range spec.(*ast.ValueSpec).Names {
					if strings.HasPrefix(name.Name, "Err") {
						names = append(names, name.Name)
					}
				}
			}
		}
	}
	return names
}

// TestLoadingIsUnavailable: what a gateway does not know yet is no fault of it.
func TestLoadingIsUnavailable(t *testing.T) {
	t.Parallel()
	if p := problemOf(fmt.Errorf("list: %w", coordinator.ErrLoading)); p.Status != http.StatusServiceUnavailable {
		t.Errorf("status %d", p.Status)
	}
	if p := problemOf(errors.New("something else")); p.Status != http.StatusInternalServerError || strings.Contains(p.Detail, "else") {
		t.Errorf("an unknown error: %+v", p)
	}
}
