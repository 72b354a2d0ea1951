package roles

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.yaml.in/yaml/v3"

	"github.com/program-explorer/pe/internal/jobqueue/queuetest"
	"github.com/program-explorer/pe/internal/objstore/dir"
)

// TestPageHasEveryMetric holds the tables of docs/metrics.md to what a gateway and
// an executor register, and every metric that any page names to that, too.
func TestPageHasEveryMetric(t *testing.T) {
	t.Parallel()
	registered := registeredMetrics(t)
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	told := metricsOfTables(string(page))
	for _, name := range slices.Sorted(maps.Keys(registered)) {
		if labels, found := told[name]; !found || labels != registered[name] {
			t.Errorf("docs/metrics.md has %s with labels %q (there: %v), want %q", name, labels, found, registered[name])
		}
	}
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	for _, path := range pages {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range metricName.FindAllString(string(text), -1) {
			if _, found := registered[name]; !found {
				t.Errorf("%s names %s, which nobody registers", path, name)
			}
		}
	}
}

// TestPageHasAlertRules: those of docs/metrics.md are YAML, and each has a name and an expression.
func TestPageHasAlertRules(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(page), "```yaml\ngroups:\n")
	block, _, _ = strings.Cut(block, "```")
	var rules struct {
		Groups []struct {
			Rules []struct{ Alert, Expr, For string }
		}
	}
	if err := yaml.Unmarshal([]byte("groups:\n"+block), &rules); err != nil || len(rules.Groups) != 1 || len(rules.Groups[0].Rules) != 5 {
		t.Fatalf("%+v, %v", rules, err)
	}
	for _, r := range rules.Groups[0].Rules {
		if r.Alert == "" || !metricName.MatchString(r.Expr) {
			t.Errorf("a rule without name or metric: %+v", r)
		}
	}
}

// TestPageHasTheVersions: docs/operating.md names the servers that tests run.
func TestPageHasTheVersions(t *testing.T) {
	t.Parallel()
	read := func(path string) string {
		text, err := os.ReadFile(filepath.Join("../..", path))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	page := read("docs/operating.md")
	for name, pattern := range map[string]string{
		"go.mod": `nats-(server)/v2 (v[\d.]+)`, "deploy/setup.sh": `(versitygw)_version=(v[\d.]+)`,
	} {
		found := regexp.MustCompile(pattern).FindStringSubmatch(read(name))
		if found == nil || !strings.Contains(page, found[1]+" "+found[2]) {
			t.Errorf("docs/operating.md does not name what %s has: %q", name, found)
		}
	}
}

var (
	metricName  = regexp.MustCompile(`\bpe_[a-z_]*[a-z]`)
	description = regexp.MustCompile(`^Desc\{fqName: "(\w+)", help: .*, constLabels: \{([^}]*)\}, variableLabels: \{([^}]*)\}\}$`)
	labelName   = regexp.MustCompile(`\w+`)
	constValue  = regexp.MustCompile(`="[^"]*"`)
)

// metricsOfTables are the names in the first cells of all rows, with their labels sorted.
func metricsOfTables(page string) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(page) {
		if cells := strings.Split(line, "|"); strings.HasPrefix(line, "| `pe_") && len(cells) > 3 {
			for _, name := range metricName.FindAllString(cells[1], -1) {
				all[name] = labelsOf(cells[2])
			}
		}
	}
	return all
}

func labelsOf(text string) string {
	return strings.Join(slices.Sorted(slices.Values(labelName.FindAllString(text, -1))), " ")
}

// registeredMetrics are the system's own metrics and their labels, of a gateway and an
// executor that may keep machines ready.
func registeredMetrics(t *testing.T) map[string]string {
	t.Helper()
	queue, registry := queuetest.Start(t, "box"), NewRegistry()
	store, err := dir.Open(dir.Config{Path: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	g, err := NewGateway(t.Context(), GatewayConfig{Listen: "127.0.0.1:0", Queue: queue.Gateway(t, nil), Store: store, Metrics: registry})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	e, err := NewExecutor(t.Context(), ExecutorConfig{
		ID: "box", Dir: t.TempDir(), Queue: queue.Executor(t, "box", nil), Metrics: registry,
		Ways: WaysConfig{Isolations: []string{WayNoop}}, Ready: ReadyConfig{SnapshotBytes: 1 << 30, PoolBytes: 1 << 30},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	described := make(chan *prometheus.Desc)
	go func() {
		registry.Describe(described)
		close(described)
	}()
	all := map[string]string{}
	for d := range described {
		parts := description.FindStringSubmatch(d.String())
		if parts == nil {
			t.Errorf("no description: %s", d)
		} else if strings.HasPrefix(parts[1], "pe_") {
			all[parts[1]] = labelsOf(constValue.ReplaceAllString(parts[2], "") + " " + parts[3])
		}
	}
	return all
}
