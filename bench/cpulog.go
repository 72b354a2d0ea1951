package main

import (
	"slices"
	"time"
)

// watchEvery is how often the clocks are read: a few microseconds each time.
const watchEvery = time.Millisecond

// cpuLog is what a program and the machines that it had at the beginning used
// of the processors, over time.
type cpuLog []cpuReading

type cpuReading struct {
	at            time.Time
	self, machine time.Duration
}

// watcher fills a log, in the background. What has ended used what it had when
// it was last seen.
type watcher struct {
	pids []int
	last []time.Duration
	end  chan struct{}
	log  chan cpuLog
}

// watch reads the clocks of processes, of which the first is the program, until stop.
func watch(pids []int) watcher {
	w := watcher{pids: pids, last: make([]time.Duration, len(pids)), end: make(chan struct{}), log: make(chan cpuLog, 1)}
	log := cpuLog{w.read()}
	go func() {
		tick := time.NewTicker(watchEvery)
		defer tick.Stop()
		for {
			select {
			case <-w.end:
				w.log <- log
				return
			case <-tick.C:
				log = append(log, w.read())
			}
		}
	}()
	return w
}

func (w watcher) read() cpuReading {
	r := cpuReading{at: time.Now()}
	for i, pid := range w.pids {
		w.last[i] = max(w.last[i], cpuClock(pid))
		if i == 0 {
			r.self = w.last[i]
		} else {
			r.machine += w.last[i]
		}
	}
	return r
}

// newcomers is what the processes used that were not there at the beginning.
func (w watcher) newcomers(now []int) time.Duration {
	return cpuOf(slices.DeleteFunc(slices.Clone(now), func(pid int) bool { return slices.Contains(w.pids, pid) }))
}

func (w watcher) stop() cpuLog {
	close(w.end)
	return <-w.log
}

// used is the processor time between two instants, by the reading at or before each.
func (c cpuLog) used(from, to time.Time) (self, machine time.Duration) {
	a, b := c.before(from), c.before(to)
	return b.self - a.self, b.machine - a.machine
}

func (c cpuLog) before(t time.Time) cpuReading {
	i, found := slices.BinarySearchFunc(c, t, func(r cpuReading, t time.Time) int { return r.at.Compare(t) })
	if !found {
		i = max(0, i-1)
	}
	return c[i]
}

// attribute divides the processor time of a job among its spans.
func (c cpuLog) attribute(l life, values map[string][]float64) {
	spans := time.Duration(0)
	for _, s := range l.job.Result.Spans {
		self, machine := c.used(time.UnixMicro(s.StartUS), time.UnixMicro(s.EndUS))
		values[cpuPrefix+s.Name] = []float64{milliseconds(self + machine)}
		spans += self + machine
	}
	self, machine := c.used(l.began, l.ended)
	values[cpuPrefix+"ped"] = []float64{milliseconds(self)}
	values[cpuPrefix+"machine"] = []float64{milliseconds(machine)}
	// Spans may overlap, so that their sum can be more than the whole.
	values[cpuPrefix+"unexplained"] = []float64{milliseconds(max(0, self+machine-spans))}
}
