package imagesync

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// A catalog as its file has it. Pointers tell what is not given from zero.

type catalogText struct {
	Only   bool                 `yaml:"only"`
	Images map[string]entryText `yaml:"images"`
}

type entryText struct {
	Reference   string       `yaml:"reference"`
	Description string       `yaml:"description"`
	Warmup      []warmupText `yaml:"warmup"`
	Pool        *poolText    `yaml:"pool"`
	Cache       string       `yaml:"cache"`
}

type warmupText struct {
	Argv    []string          `yaml:"argv"`
	Env     map[string]string `yaml:"env"`
	Timeout *time.Duration    `yaml:"timeout"`
	Files   *string           `yaml:"files"`
}

type poolText struct {
	Min *count `yaml:"min"`
	Max *count `yaml:"max"`
}

// What an entry's cache may be.
const (
	cacheUse    = "use"
	cacheBypass = "bypass"
)

// count is an int that YAML does not make of a fraction.
type count int

// UnmarshalYAML implements yaml.Unmarshaler.
func (c *count) UnmarshalYAML(node *yaml.Node) error {
	if node.ShortTag() != "!!int" {
		return fmt.Errorf("line %d: %q is no whole number", node.Line, node.Value)
	}
	return node.Decode((*int)(c))
}

func decodeCatalog(raw []byte) (catalogText, error) {
	var text catalogText
	if len(raw) > maxCatalog {
		return text, fmt.Errorf("larger than %d bytes", maxCatalog)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(raw))
	decoder.KnownFields(true)
	if err := decoder.Decode(&text); err != nil && !errors.Is(err, io.EOF) {
		return text, err
	}
	if err := decoder.Decode(new(any)); !errors.Is(err, io.EOF) {
		return text, errors.New("more than one document")
	}
	return text, nil
}

func (e entryText) check(dir string) (CatalogEntry, error) {
	p, err := parsePlace(absolute(e.Reference, dir))
	if err != nil {
		return CatalogEntry{}, err
	}
	entry := CatalogEntry{Reference: p.text, Description: e.Description, Cached: e.Cache == cacheUse, place: p}
	if e.Cache != "" && e.Cache != cacheUse && e.Cache != cacheBypass {
		return entry, fmt.Errorf("cache %q: want %s or %s", e.Cache, cacheUse, cacheBypass)
	}
	if len(e.Warmup) > maxWarmups {
		return entry, fmt.Errorf("warmup has %d commands; at most %d: join them in a shell", len(e.Warmup), maxWarmups)
	}
	for i, w := range e.Warmup {
		checked, err := w.check(dir)
		if err != nil {
			return entry, fmt.Errorf("warmup command %d: %w", i+1, err)
		}
		entry.Warmup = append(entry.Warmup, checked)
	}
	entry.Pool, err = e.Pool.check()
	return entry, err
}

func (w warmupText) check(dir string) (Warmup, error) {
	checked := Warmup{Argv: w.Argv, Timeout: defaultWarmupTime}
	if len(w.Argv) == 0 || w.Argv[0] == "" {
		return checked, errors.New("argv is empty: want a program and its arguments")
	}
	for name, value := range w.Env {
		if name == "" || strings.Contains(name, "=") {
			return checked, fmt.Errorf("env: %q is no name of a variable", name)
		}
		checked.Env = append(checked.Env, name+"="+value)
	}
	slices.Sort(checked.Env)
	if err := checkWords(checked.Argv, checked.Env); err != nil {
		return checked, err
	}
	if w.Timeout != nil {
		checked.Timeout = *w.Timeout
	}
	if checked.Timeout < time.Millisecond || checked.Timeout > maxWarmupTime {
		return checked, fmt.Errorf("timeout %s: want 1ms to %s", checked.Timeout, maxWarmupTime)
	}
	if w.Files == nil {
		return checked, nil
	}
	var err error
	checked.Files, err = noteWarmupFiles(*w.Files, dir)
	return checked, err
}

// checkWords holds a command to what a job may have.
func checkWords(argv, env []string) error {
	if len(argv) > maxWarmupWords || len(env) > maxWarmupWords {
		return fmt.Errorf("argv of %d and env of %d items; at most %d each", len(argv), len(env), maxWarmupWords)
	}
	total := 0
	for _, word := range slices.Concat(argv, env) {
		total += len(word) + 1 // as the kernel counts
		if strings.ContainsRune(word, 0) || !utf8.ValidString(word) {
			return fmt.Errorf("%q holds NUL or is not UTF-8", word)
		}
	}
	if total > maxWarmupText {
		return fmt.Errorf("argv and env take %d bytes; at most %d: put large values into files", total, maxWarmupText)
	}
	return nil
}

func (p *poolText) check() (*PoolSize, error) {
	if p == nil || p.Min == nil && p.Max == nil {
		return nil, nil
	}
	if p.Max == nil {
		return nil, errors.New("pool has min and no max: give both")
	}
	size := PoolSize{Max: int(*p.Max)}
	if p.Min != nil {
		size.Min = int(*p.Min)
	}
	if size.Min < 0 || size.Min > size.Max || size.Max > maxPool {
		return nil, fmt.Errorf("pool of min %d and max %d: want 0 ≤ min ≤ max ≤ %d", size.Min, size.Max, maxPool)
	}
	return &size, nil
}
