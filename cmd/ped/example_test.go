package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/program-explorer/pe/internal/settings"
)

var update = flag.Bool("update", false, "write deploy/ped.yaml")

const exampleHead = `# Settings of Program Explorer: /etc/program-explorer/ped.yaml, which ped reads by itself.
# Every line in a comment is a default. One file does for gateways and executors: each takes
# what it knows. A flag (--slots) or a variable (PED_SLOTS) is stronger than a line here.
# "ped config gateway" and "ped config executor" print what is in force.
`

// ofThisHost are settings whose defaults differ from host to host, as the example has them.
var ofThisHost = map[string]string{
	"data-dir": "/var/lib/program-explorer", "executor-id": "cellar", "slots": "3", "pool-memory": "1GiB",
}

// alsoSaid is what the help of a setting shows in another way.
var alsoSaid = map[string]string{
	"data-dir": " (default for root)", "executor-id": " (default the host's name)", "slots": " (default one less than there are processors)",
}

// settingsOf are those of a command.
func settingsOf(t *testing.T, name string) *pflag.FlagSet {
	t.Helper()
	a := &app{stdout: io.Discard, stderr: io.Discard}
	a.root()
	for cmd, set := range a.settings {
		if cmd.Name() == name {
			return set
		}
	}
	t.Fatalf("no command %s has settings", name)
	return nil
}

// example is the file of every setting and its default.
func example(t *testing.T) string {
	t.Helper()
	gateway, executor := settingsOf(t, "gateway"), settingsOf(t, "executor")
	var both, first, second strings.Builder
	gateway.VisitAll(func(f *pflag.Flag) {
		if executor.Lookup(f.Name) != nil {
			line(&both, f)
			return
		}
		line(&first, f)
	})
	executor.VisitAll(func(f *pflag.Flag) {
		if gateway.Lookup(f.Name) == nil {
			line(&second, f)
		}
	})
	return exampleHead + "\n##### Gateways and executors\n" + both.String() + "\n##### Gateways\n" + first.String() + "\n##### Executors\n" + second.String()
}

func line(b *strings.Builder, f *pflag.Flag) {
	value, known := ofThisHost[f.Name]
	if !known {
		value = f.DefValue
	}
	if value == "" {
		value = `""`
	}
	_, usage := pflag.UnquoteUsage(f)
	fmt.Fprintf(b, "\n# %s%s\n#%s: %s\n", usage, alsoSaid[f.Name], f.Name, value)
}

func deployed(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestExampleSettings holds deploy/ped.yaml to what there is: go test -run TestExampleSettings -update
// writes it anew.
func TestExampleSettings(t *testing.T) {
	want := example(t)
	if *update {
		if err := os.WriteFile("../../deploy/ped.yaml", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := deployed(t, "ped.yaml"); got != want {
		t.Errorf("deploy/ped.yaml is not of this version: go test ./cmd/ped -run TestExampleSettings -update\n%s", got)
	}
}

// TestExampleIsRead: taken out of its comments, the example is a configuration, and it is the default one.
func TestExampleIsRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ped.yaml")
	text := regexp.MustCompile(`(?m)^#([a-z0-9-]+: )`).ReplaceAllString(deployed(t, "ped.yaml"), "$1")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, role := range []string{"gateway", "executor"} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), []string{"--config", path, "config", role, "--json"}, nil, &out, &errs); code != 0 {
			t.Fatalf("%s: exit code %d: %s", role, code, &errs)
		}
		var values []settings.Value
		if err := json.Unmarshal(out.Bytes(), &values); err != nil {
			t.Fatal(err)
		}
		set := settingsOf(t, role)
		for _, v := range values {
			want, ours := ofThisHost[v.Name]
			if !ours {
				want = strings.Trim(set.Lookup(v.Name).DefValue, "[]")
			}
			if !strings.HasPrefix(v.Origin, path) || v.Value != want && v.Name != "s3-secret-key" {
				t.Errorf("%s: %s is %q from %s, want %q", role, v.Name, v.Value, v.Origin, want)
			}
		}
	}
}
