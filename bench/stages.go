package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// life is a job that ran, and when on this side's clock.
type life struct {
	job          schemas.Job
	began, ended time.Time
}

func (l life) ms() float64 { return milliseconds(l.ended.Sub(l.began)) }

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// stageRows are the names of a row for each span, of one for the rest, and more.
func stageRows(prefix string, more ...string) []string {
	rows := append(slices.Clone(more), prefix+"unexplained")
	for _, span := range schemas.SpanNames {
		rows = append(rows, prefix+span)
	}
	return rows
}

// stages are the job's spans, and the time that none explains.
func (l life) stages(prefix string) sample {
	values := map[string][]float64{prefix + "unexplained": {milliseconds(unexplained(l.began, l.ended, l.job.Result.Spans))}}
	for _, s := range l.job.Result.Spans {
		values[prefix+s.Name] = []float64{float64(s.EndUS-s.StartUS) / 1000}
	}
	return sample{values: values}
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

// stageRank orders stages as they come in a job's life, what is no span last.
func stageRank(row string) int {
	if !strings.HasPrefix(row, "stage.") {
		return 0
	}
	if i := slices.Index(schemas.SpanNames, row[strings.LastIndexByte(row, '.')+1:]); i >= 0 {
		return i
	}
	return len(schemas.SpanNames)
}

const warmPrefix, cpuPrefix, wholeWarm = "stage.warm.", "stage.warm.cpu.", "stage.warm.whole"

// warmStages breaks the way of a job in a pooled machine down, in time and in
// processor time of ped and of the machine. It runs jobs of its own, so that
// looking at the clocks slows down no row that is compared.
func warmStages(b *box) contestant {
	rows := stageRows(warmPrefix, wholeWarm, cpuPrefix+"ped", cpuPrefix+"machine", cpuPrefix+"refill")
	rows = append(rows, stageRows(cpuPrefix)...)
	return contestant{rows: rows, setup: b.setup(gccSpec), once: func(ctx context.Context) (sample, error) {
		w := watch(family(b.cmd.Process.Pid))
		l, err := b.life(ctx, gccSpec)
		refill := w.newcomers(family(b.cmd.Process.Pid))
		log := w.stop()
		if err != nil {
			return sample{}, err
		}
		s := l.stages(warmPrefix)
		s.values[wholeWarm] = []float64{l.ms()}
		log.attribute(l, s.values)
		s.values[cpuPrefix+"refill"] = []float64{milliseconds(refill)}
		return s, nil
	}}
}
