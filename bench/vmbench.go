package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// vmReport is what `ped vm bench --json` prints.
type vmReport struct {
	Measure string `json:"measure"`
	Arch    string `json:"arch"`
	Runs    int    `json:"runs"`
	Workers int    `json:"workers"`
	// SamplesMS are single times; BootMS cold boots of the same machine, taken in
	// turn with them. CPUMS and BootCPUMS are what QEMU used of the processors.
	SamplesMS []float64 `json:"samples_ms"`
	BootMS    []float64 `json:"boot_ms"`
	CPUMS     []float64 `json:"cpu_ms"`
	BootCPUMS []float64 `json:"boot_cpu_ms"`
	PerSecond float64   `json:"per_second"`
	// PSSBytes is what all clones use of the host's memory, QEMU counted, and
	// TemplateUnmappedBytes what of their template none of them maps. MemoryBytes is
	// what one machine has.
	PSSBytes              int64 `json:"pss_bytes"`
	TemplateUnmappedBytes int64 `json:"template_unmapped_bytes"`
	MemoryBytes           int64 `json:"memory_bytes"`
	// StoredBytes is what each stored snapshot took of the disk, How in words what was done.
	StoredBytes []int64 `json:"stored_bytes"`
	How         string  `json:"how"`
	Filesystem  string  `json:"filesystem"`
	// RSSSlope is in bytes for each 1,000 restores.
	RSSSlope *float64 `json:"rss_slope_bytes_per_1000"`
	Leaked   *leaked  `json:"leaked"`
}

// leaked is what was more at the end than at the beginning.
type leaked struct {
	Processes int `json:"processes"`
	FDs       int `json:"fds"`
	Files     int `json:"files"`
}

// parseVM reads the one object that `ped vm bench --json` prints, and checks that it answers the question.
func parseVM(text []byte, measure string) (vmReport, error) {
	var r vmReport
	d := json.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&r); err != nil {
		return r, fmt.Errorf("read what ped vm bench says: %w: %q", err, text[:min(len(text), 200)])
	}
	missing := ""
	switch {
	case r.Measure != measure:
		return r, fmt.Errorf("ped vm bench measured %q, not %s", r.Measure, measure)
	case measure == "restore" && (len(r.SamplesMS) == 0 || len(r.BootMS) == 0):
		missing = "samples_ms or boot_ms"
	case (measure == "discard" || measure == "store") && r.PerSecond <= 0:
		missing = "per_second"
	case measure == "store" && (len(r.StoredBytes) == 0 || r.MemoryBytes <= 0):
		missing = "stored_bytes or memory_bytes"
	case measure == "pss" && (r.PSSBytes <= 0 || r.MemoryBytes <= 0):
		missing = "pss_bytes or memory_bytes"
	case measure == "soak" && (r.Leaked == nil || r.RSSSlope == nil || r.Runs <= 0):
		missing = "leaked, rss_slope_bytes_per_1000 or runs"
	}
	if missing != "" {
		return r, fmt.Errorf("ped vm bench --measure %s does not say %s", measure, missing)
	}
	return r, nil
}

// vmHost is a data directory in which a machine of the gcc image is baked.
type vmHost struct {
	config
	data string
}

// bench measures. Without a snapshot ped bakes one first, and does not count that.
func (v vmHost) bench(ctx context.Context, measure string, flags ...string) (vmReport, error) {
	args := append([]string{"vm", "bench", "--measure=" + measure, "--image=gcc", "--memory=512MiB", "--json"}, v.dirs(v.data)...)
	out, err := v.ask(ctx, append(args, flags...)...)
	if err != nil {
		return vmReport{}, err
	}
	return parseVM(out, measure)
}

// ask runs ped, and returns what it printed.
func (v vmHost) ask(ctx context.Context, args ...string) ([]byte, error) {
	cmd := program(ctx, v.ped(), args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("ped %s: %w: %s", strings.Join(args[:3], " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}

// baked is a snapshot as `ped vm list --json` shows it.
type baked struct {
	// BakeMS is how long it took to boot, to warm up and to store it.
	BakeMS float64 `json:"bake_ms"`
	// DiskBytes is what would be free without it.
	DiskBytes int64 `json:"disk_bytes"`
}

// baked finds the snapshot in the data directory.
func (v vmHost) baked(ctx context.Context) (baked, error) {
	out, err := v.ask(ctx, "vm", "list", "--json", "--data-dir="+v.data)
	if err != nil {
		return baked{}, err
	}
	return parseBaked(out)
}

func parseBaked(text []byte) (baked, error) {
	var all []baked
	if err := json.Unmarshal(text, &all); err != nil {
		return baked{}, fmt.Errorf("read what ped vm list says: %w: %q", err, text[:min(len(text), 200)])
	}
	if len(all) != 1 || all[0].BakeMS <= 0 || all[0].DiskBytes <= 0 {
		return baked{}, fmt.Errorf("ped vm list shows no one snapshot with bake_ms and disk_bytes: %q", text[:min(len(text), 200)])
	}
	return all[0], nil
}

// bake leaves a snapshot in the data directory.
func (v vmHost) bake(ctx context.Context) error {
	_, err := v.bench(ctx, "discard", runs(1))
	return err
}

func runs(n int) string { return "--runs=" + strconv.Itoa(n) }
