package main

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// contestants lists all that is measured.
func contestants(c config, work string) []contestant {
	b := &box{config: c, dir: filepath.Join(work, "box")}
	r := rootfs{image: filepath.Join(c.cache, "images", "gcc"), dir: filepath.Join(work, "rootfs")}
	return []contestant{coldJob(b), boot(b), podman(r), runc(r, filepath.Join(work, "bundle"))}
}

// coldJob is the whole way of a job whose image is cached and whose machine boots.
func coldJob(b *box) contestant {
	rows := []string{"job.cold.gcc_version", "stage.unexplained"}
	for _, span := range schemas.SpanNames {
		rows = append(rows, "stage."+span)
	}
	spec := schemas.JobSpec{Image: "gcc", Args: gccVersion}
	return contestant{rows: rows, setup: b.start, once: func(ctx context.Context) (sample, error) {
		job, began, ended, err := b.run(ctx, spec)
		if err != nil {
			return sample{}, err
		}
		if !strings.Contains(job.Result.Stdout.Text, "Free Software Foundation") {
			return sample{}, errors.New("the job printed " + job.Result.Stdout.Text)
		}
		ms := map[string]float64{"job.cold.gcc_version": milliseconds(ended.Sub(began))}
		spans := job.Result.Spans
		for _, s := range spans {
			ms["stage."+s.Name] += float64(s.EndUS-s.StartUS) / 1000
		}
		ms["stage.unexplained"] = milliseconds(unexplained(began, ended, spans))
		ran := job.Result.RanOn
		return sample{ms: ms, facts: map[string]string{"accel": ran.Accel, "guest": ran.Kernel + ", " + ran.CPUModel}}, nil
	}}
}

// boot is the time from a machine's start to its guest's first word.
func boot(b *box) contestant {
	spec := schemas.JobSpec{Image: "busybox", Args: []string{"true"}, Requires: schemas.Requires{Arch: "amd64"}}
	return contestant{rows: []string{"vm.boot.amd64"}, setup: b.start, once: func(ctx context.Context) (sample, error) {
		job, _, _, err := b.run(ctx, spec)
		if err != nil {
			return sample{}, err
		}
		for _, s := range job.Result.Spans {
			if s.Name == schemas.SpanBooted {
				return sample{ms: map[string]float64{"vm.boot.amd64": float64(s.EndUS-s.StartUS) / 1000}}, nil
			}
		}
		return sample{}, errors.New("the job's machine did not boot")
	}}
}

// unexplained is the time between two instants that lies within no span.
func unexplained(began, ended time.Time, spans []schemas.Span) time.Duration {
	sorted := slices.SortedFunc(slices.Values(spans), func(a, b schemas.Span) int { return int(a.StartUS - b.StartUS) })
	at, end, gaps := began.UnixMicro(), ended.UnixMicro(), int64(0)
	for _, s := range sorted {
		gaps += max(0, min(s.StartUS, end)-at)
		at = max(at, min(s.EndUS, end))
	}
	return time.Duration(gaps+end-at) * time.Microsecond
}

// inOrder sorts rows: what is compared first, then the stages in the order of a job's life.
func inOrder(rows []string) []string {
	rank := func(row string) int {
		stage, ok := strings.CutPrefix(row, "stage.")
		if !ok {
			return 0
		}
		if i := slices.Index(schemas.SpanNames, stage); i >= 0 {
			return 1 + i
		}
		return 1 + len(schemas.SpanNames)
	}
	return slices.SortedStableFunc(slices.Values(rows), func(a, b string) int {
		if d := rank(a) - rank(b); d != 0 || rank(a) != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
}
