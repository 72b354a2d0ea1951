package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// storages measures running machines from backing storage: on this machine's
// own filesystem, and on others in loop devices.
func storages(ctx context.Context, own vmHost, work string) []contestant {
	kind := filesystemOf(ctx, work)
	all := []contestant{discard(own, "snapshot.load_discard", nil), store(own, kind, nil), boot(own, kind, nil)}
	for _, fs := range []string{"btrfs", "xfs"} {
		if fs == kind {
			continue
		}
		l := &loop{kind: fs, image: filepath.Join(work, fs+".img"), dir: filepath.Join(work, fs)}
		host := vmHost{config: own.config, data: filepath.Join(l.dir, "data")}
		all = append(all, discard(host, "snapshot.load_discard."+fs, l), store(host, fs, l), boot(host, fs, l))
	}
	return all
}

// discard loads a snapshot, and drops the machine.
func discard(host vmHost, row string, l *loop) contestant {
	c := prepared(host, vmTurns, []string{row}, func(ctx context.Context) (sample, error) {
		r, err := host.bench(ctx, "discard", runs(vmRuns))
		return took(row, r.PerSecond), err
	})
	return c.on(l)
}

// storeRuns: each leaves a snapshot, which must fit on the disk beside the others.
const storeRuns = 6

// store loads a snapshot, and stores the machine as a new one.
func store(host vmHost, kind string, l *loop) contestant {
	speed, size := "snapshot.load_store."+kind, "snapshot.mb_stored."+kind
	rows := []string{speed, size}
	if l == nil {
		rows = append(rows, "snapshot.mb_memory")
	}
	c := prepared(host, vmTurns, rows, func(ctx context.Context) (sample, error) {
		r, err := host.bench(ctx, "store", runs(storeRuns))
		s := took(speed, r.PerSecond)
		for _, bytes := range r.StoredBytes {
			s.values[size] = append(s.values[size], float64(bytes)/1e6)
		}
		if l == nil {
			s.values["snapshot.mb_memory"] = []float64{float64(r.MemoryBytes) / 1e6}
		}
		how, _, _ := strings.Cut(r.How, ";")
		s.facts = map[string]string{"snapshots on " + kind: how}
		return s, err
	})
	return c.on(l)
}

// boot boots a machine, warms it up and stores it: what the bake of the data directory's snapshot took.
func boot(host vmHost, kind string, l *loop) contestant {
	speed, size := "snapshot.boot_store."+kind, "snapshot.mb_baked."+kind
	c := prepared(host, 1, []string{speed, size}, func(ctx context.Context) (sample, error) {
		b, err := host.baked(ctx)
		if err != nil {
			return sample{}, err
		}
		s := took(speed, 1000/b.BakeMS)
		s.values[size] = []float64{float64(b.DiskBytes) / 1e6}
		return s, nil
	})
	return c.on(l)
}

// on lets the contestant run on another filesystem, if that can be made.
func (c contestant) on(l *loop) contestant {
	if l == nil {
		return c
	}
	inner := c.setup
	c.setup = func(ctx context.Context) (func() error, error) {
		undo, err := l.mount(ctx)
		if err != nil {
			return undo, err
		}
		_, err = inner(ctx)
		return undo, err
	}
	return c
}

// storageTable prints the rows of running machines from backing storage once
// more, as the columns in which they are usually published.
func storageTable(w io.Writer, rows []Row) {
	named := make(map[string]Row)
	var kinds []string
	for _, r := range rows {
		named[r.Name] = r
		if kind, ok := strings.CutPrefix(r.Name, "snapshot.load_store."); ok {
			kinds = append(kinds, kind)
		}
	}
	if len(kinds) == 0 {
		return
	}
	slices.Sort(kinds)
	cell := func(name string) string {
		if r := named[name]; r.Runs > 0 {
			return strconv.FormatFloat(r.Median, 'f', 2, 64)
		}
		return "-"
	}
	line := "%-22s %14s %14s %14s\n"
	fmt.Fprintln(w)
	fmt.Fprintf(w, line, "machines from", "discard /s", "store /s", "MB stored")
	for _, kind := range kinds {
		fmt.Fprintf(w, line, "config on "+kind, cell("vm.boots_per_s"), cell("snapshot.boot_store."+kind), cell("snapshot.mb_baked."+kind))
		from := "snapshot.load_discard." + kind
		if _, looped := named[from]; !looped {
			from = "snapshot.load_discard"
		}
		fmt.Fprintf(w, line, "snapshot on "+kind, cell(from), cell("snapshot.load_store."+kind), cell("snapshot.mb_stored."+kind))
	}
}
